# SPDX-License-Identifier: Apache-2.0
"""All features of a picture's instances and pairs, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from armseg_ros.quality.cells import Cells
from armseg_ros.quality.evidence import Evidence, gather
from armseg_ros.quality.hypotheses import hypothesis_features, relate
from armseg_ros.quality.nested import nested_features
from armseg_ros.quality.opinions import compare_masks, opinion_features
from armseg_ros.quality.pairs import PAIR_FEATURES, Pairs, pair_features
from armseg_ros.quality.shape import shape_features
from armseg_ros.quality.sharpness import sharpness_features
from armseg_ros.types import BoolArray, Candidates, Detections, Float32Array, RawOutput

BORDER_CELLS = 1.0  # a box this close to the edge of the grid may be cut off


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of one picture.

    Attributes:
        instances: (N, F) float32, finite; row n belongs to ``Evidence.objects[n]``.
        names: F names of the columns.
        pairs: Pairs that might be one object, with their features.
        tote_coverage: Share of the tote under object masks, 0..1; NaN without a tote.
    """

    instances: Float32Array
    names: tuple[str, ...]
    pairs: Pairs
    tote_coverage: float


def compute_features(evidence: Evidence) -> Features:
    """Compute every feature; no instance at all gives (0, F)."""
    relations = relate(evidence)
    cells = Cells.of(evidence)
    opinions = compare_masks(evidence)
    pairs = pair_features(evidence, (relations, opinions), cells)
    strongest = pairs.strongest(len(evidence))
    coverage = tote_coverage(evidence)
    columns = {
        **_context(evidence, pairs, coverage),
        **hypothesis_features(evidence, relations),
        **opinion_features(opinions),
        **sharpness_features(evidence, cells),
        **shape_features(evidence, cells),
        **nested_features(evidence, cells, pairs),
        **{f"pair_{name}": strongest[:, k] for k, name in enumerate(PAIR_FEATURES)},
    }
    table = np.column_stack(list(columns.values())).astype(np.float32, copy=False)
    return Features(_finite(table), tuple(columns), pairs, coverage)


@lru_cache(maxsize=1)
def feature_names() -> tuple[str, ...]:
    """Names of the columns of ``Features.instances``; those of a picture with nothing in it."""
    boxes, one = np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32)
    scores, ids = np.zeros(0, np.float32), np.zeros(0, np.int32)
    candidates = Candidates(boxes, scores, ids, one, ids)
    detections = Detections(boxes, ids, (), np.zeros(0, np.bool_), scores)
    raw = RawOutput(np.zeros((0, 7), np.float32), np.zeros((1, 2, 2), np.float32))
    nothing = gather(candidates, detections, raw, np.zeros((1, 3, 8, 8), np.float32))
    return compute_features(nothing).names


def tote_coverage(evidence: Evidence) -> float:
    """Share of the tote that lies under objects, 0..1; NaN where no tote was found.

    Whether the mask of a tote leaves out what lies in it is a matter of the training data:
    objects inside the tote's box count as tote either way.
    """
    if not evidence.tote.any():
        return float("nan")
    rows = np.flatnonzero(evidence.tote.any(axis=1))
    columns = np.flatnonzero(evidence.tote.any(axis=0))
    box: BoolArray = np.zeros_like(evidence.tote)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    covered = evidence.masks.any(axis=0) & box
    return float(covered.sum() / (covered | evidence.tote).sum())


def _context(evidence: Evidence, pairs: Pairs, coverage: float) -> dict[str, Float32Array]:
    height, width = evidence.grid_hw
    boxes = evidence.boxes
    outside = np.minimum(
        boxes[:, :2].min(axis=1), (np.array([width, height]) - boxes[:, 2:]).min(1)
    )
    rival = np.zeros(len(evidence), np.float32)
    np.maximum.at(rival, pairs.first, evidence.scores[pairs.second])
    np.maximum.at(rival, pairs.second, evidence.scores[pairs.first])
    filled = np.full(len(evidence), 0.5 if np.isnan(coverage) else coverage, np.float32)
    return {
        "score": evidence.scores,
        "score_lead": evidence.scores - rival,
        "kept_count": np.full(len(evidence), np.log1p(len(evidence)), np.float32),
        "tote_coverage": filled,
        "at_border": (outside < BORDER_CELLS).astype(np.float32),
    }


def _finite(table: Float32Array) -> Float32Array:
    if np.isfinite(table).all():
        return table
    return np.nan_to_num(table, nan=0.0, posinf=0.0, neginf=0.0)
