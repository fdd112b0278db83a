# SPDX-License-Identifier: Apache-2.0
"""Columns of the run's tables about splits, merges and flags; all at the operating point."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pyarrow as pa

from armseg_ros.evaluate.attributes import SampleAttributes
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.evaluate.judged import JudgedPicture
from armseg_ros.evaluate.operating import Operating
from armseg_ros.evaluate.seed_figures import UNJUDGED
from armseg_ros.evaluate.split_counts import RULES
from armseg_ros.evaluate.splits import Outcome, soft_over, soft_under
from armseg_ros.quality.result import Quality

COUNTS = ("correct", "over", "under", "missed", "noise")
_TYPES = {
    "int": pa.int32(),
    "str": pa.string(),
    "bool": pa.bool_(),
    "float": pa.float32(),
    "float | None": pa.float32(),
}
SAMPLE_COLUMNS = (
    ("p_over", pa.float32()),
    ("p_under", pa.float32()),
    ("verdict", pa.string()),
    ("tote_coverage", pa.float32()),
    *((f"{rule}_{name}", pa.int32()) for rule in RULES for name in COUNTS),
    ("vi_split", pa.float32()),
    ("vi_merge", pa.float32()),
    *((name, pa.float32()) for name in UNJUDGED),
    *((field.name, _TYPES[str(field.type)]) for field in fields(SampleAttributes)),
)
INSTANCE_COLUMNS = (
    ("operating", pa.bool_()),
    ("p_over", pa.float32()),
    ("p_under", pa.float32()),
    ("partner", pa.int32()),
    ("seed_outcome", pa.string()),
    ("hoover_outcome", pa.string()),
    ("soft_over", pa.float32()),
    ("soft_under", pa.float32()),
)
_WORDS = {Outcome.CORRECT: "correct", Outcome.OVER: "over", Outcome.UNDER: "under"}
PREDICTION_WORDS = {**_WORDS, Outcome.UNMATCHED: "noise", Outcome.IGNORED: "ignored"}
TRUTH_WORDS = {**_WORDS, Outcome.UNMATCHED: "missed"}


def sample_cells(result: FrameResult) -> dict[str, Any]:
    """Give the cells of an answered picture; what was not judged stays empty."""
    height, width = result.hw or (None, None)
    cells: dict[str, Any] = {
        "idx": result.image_id,
        "fname": result.sample_id,
        "origin_height": height,
        "origin_width": width,
        "verdict": "unknown",
    }
    if result.operating is not None and result.operating.quality is not None:
        cells |= _quality_cells(result.operating.quality)
    if result.judged is not None:
        cells |= _judged_cells(result.judged)
    return cells


def _quality_cells(quality: Quality) -> dict[str, Any]:
    return {
        "p_over": known(quality.frame_p_over),
        "p_under": known(quality.frame_p_under),
        "verdict": quality.verdict.name.lower(),
        "tote_coverage": known(quality.tote_coverage),
    }


def _judged_cells(judged: JudgedPicture) -> dict[str, Any]:
    cells = {
        f"{rule}_{name}": getattr(counts, name)
        for rule, counts in judged.at_tolerance.items()
        for name in COUNTS
    }
    if judged.information is not None:
        cells["vi_split"], cells["vi_merge"] = judged.information
    return {**cells, **judged.seed, **asdict(judged.attributes)}


def known(value: float) -> float | None:
    """Turn NaN, which stands for something not judged, into an empty cell."""
    return None if math.isnan(value) else float(value)


def prediction_cells(operating: Operating, judged: JudgedPicture | None) -> list[dict[str, Any]]:
    """Give the cells of every instance at the operating point, in its order."""
    rows: list[dict[str, Any]] = [{"operating": True} for _ in operating.recorded]
    quality = operating.quality
    if quality is not None:
        for index, row in enumerate(rows):
            partner = int(quality.partner[index])
            row |= {
                "p_over": known(float(quality.p_over[index])),
                "p_under": known(float(quality.p_under[index])),
                "partner": int(operating.recorded[partner]) if partner >= 0 else None,
            }
    if judged is not None:
        splits, soft = judged.splits, soft_under(judged.splits.overlap)
        for place, index in enumerate(splits.shown.tolist()):
            rows[index] |= {
                "seed_outcome": PREDICTION_WORDS[Outcome(splits.seed.predictions[place])],
                "hoover_outcome": PREDICTION_WORDS[Outcome(splits.hoover.predictions[place])],
                "soft_under": float(soft[place]),
            }
    return rows


def truth_cells(judged: JudgedPicture, count: int) -> list[dict[str, Any]]:
    """Give the cells of every ground truth; totes and crowds are not judged."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    splits, soft = judged.splits, soft_over(judged.splits.overlap)
    for place, index in enumerate(splits.counted.tolist()):
        rows[index] = {
            "seed_outcome": TRUTH_WORDS[Outcome(splits.seed.truth[place])],
            "hoover_outcome": TRUTH_WORDS[Outcome(splits.hoover.truth[place])],
            "soft_over": float(np.float32(soft[place])),
        }
    return rows
