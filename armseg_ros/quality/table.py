# SPDX-License-Identifier: Apache-2.0
"""Features and labels of many labelled pictures: what models are fitted to and checked on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import DataError
from armseg_ros.evaluate.split_counts import judge_picture
from armseg_ros.evaluate.splits import TOLERANCE
from armseg_ros.quality.evidence import Evidence
from armseg_ros.quality.features import Features
from armseg_ros.quality.pairs import PAIR_FEATURES
from armseg_ros.types import BoolArray, Detections, Float32Array, Instances

FORMAT_VERSION = 1
TABLE_NAME = "quality_table.npz"


@dataclass(frozen=True, slots=True, eq=False)
class PictureRows:
    """One decoded picture: features, and what ground truth says by the seed rule.

    Attributes:
        sample_id: Name of the picture.
        group: Scene it belongs to; pictures of one scene stay on one side of a split.
        variant: 0 for the thresholds the node runs with, above for others.
        features: Of the picture.
        over: (N,) bool, True where an instance is a part of a split object or a duplicate.
        under: (N,) bool, True where it merges objects.
        same: (Q,) bool, True where the two of a pair are parts of one object.
    """

    sample_id: str
    group: str
    variant: int
    features: Features
    over: BoolArray
    under: BoolArray
    same: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class QualityTable:
    """Rows of many pictures.

    Attributes:
        names: F names of the instance features.
        pair_names: Names of the pair features.
        instances: (R, F) float32.
        over: (R,) bool.
        under: (R,) bool.
        picture: (R,) int32 picture of each instance.
        pairs: (Q, P) float32.
        same: (Q,) bool.
        pair_picture: (Q,) int32 picture of each pair.
        pair_rows: (Q, 2) int32 rows of its two instances in ``instances``.
        coverage: (K,) float32 tote coverage per picture, NaN without a tote.
        variant: (K,) int32.
        groups: K scenes.
        sample_ids: K names.
        detector: SHA-256 of the network's file.
        origin: Where the pictures came from and how they were decoded.
    """

    names: tuple[str, ...]
    pair_names: tuple[str, ...]
    instances: Float32Array
    over: BoolArray
    under: BoolArray
    picture: npt.NDArray[np.int32]
    pairs: Float32Array
    same: BoolArray
    pair_picture: npt.NDArray[np.int32]
    pair_rows: npt.NDArray[np.int32]
    coverage: Float32Array
    variant: npt.NDArray[np.int32]
    groups: tuple[str, ...]
    sample_ids: tuple[str, ...]
    detector: str
    origin: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.groups)


def label_picture(
    evidence: Evidence,
    features: Features,
    detections: Detections,
    truth: Instances,
    tolerance: float = TOLERANCE,
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Say which instances are split or merging, and which pairs are one object.

    Returns:
        (N,) over, (N,) under and (Q,) same, as in ``PictureRows``.
    """
    (judged,) = judge_picture(detections, truth, -1.0, (tolerance,))
    if not np.array_equal(judged.shown, evidence.objects):
        raise ValueError("the evidence does not belong to the detections")
    inside = judged.overlap.pred_inside_gt > tolerance
    together = (inside.astype(np.float32) @ inside.T.astype(np.float32)) > 0
    same: BoolArray = together[features.pairs.first, features.pairs.second]
    return judged.seed.split_predictions(), judged.seed.merging_predictions(), same


def build_table(rows: Sequence[PictureRows], detector: str, origin: dict[str, Any]) -> QualityTable:
    """Put pictures together.

    Raises:
        DataError: There is no picture.
    """
    if not rows:
        raise DataError("no labelled picture was answered, so there is nothing to fit or check")
    origin = {**origin, "pictures": len({row.sample_id for row in rows})}
    lengths = [len(row.over) for row in rows]
    pair_lengths = [len(row.same) for row in rows]
    numbers = np.arange(len(rows), dtype=np.int32)
    starts = np.cumsum([0, *lengths[:-1]])
    pair_rows = [
        np.stack((row.features.pairs.first, row.features.pairs.second), axis=1) + start
        for row, start in zip(rows, starts, strict=True)
    ]
    return QualityTable(
        names=rows[0].features.names,
        pair_names=PAIR_FEATURES,
        instances=np.concatenate([row.features.instances for row in rows]),
        over=np.concatenate([row.over for row in rows]),
        under=np.concatenate([row.under for row in rows]),
        picture=np.repeat(numbers, lengths),
        pairs=np.concatenate([row.features.pairs.features for row in rows]),
        same=np.concatenate([row.same for row in rows]),
        pair_picture=np.repeat(numbers, pair_lengths),
        pair_rows=np.concatenate(pair_rows).astype(np.int32),
        coverage=np.array([row.features.tote_coverage for row in rows], np.float32),
        variant=np.array([row.variant for row in rows], np.int32),
        groups=tuple(row.group for row in rows),
        sample_ids=tuple(row.sample_id for row in rows),
        detector=detector,
        origin=origin,
    )


_ARRAYS = (
    "instances",
    "over",
    "under",
    "picture",
    "pairs",
    "same",
    "pair_picture",
    "pair_rows",
    "coverage",
    "variant",
)
_LISTS = ("names", "pair_names", "groups", "sample_ids")


def save_table(table: QualityTable, path: Path) -> None:
    """Write a table as compressed NumPy arrays."""
    header = {
        "version": FORMAT_VERSION,
        **{name: getattr(table, name) for name in _LISTS},
        "detector": table.detector,
        "origin": table.origin,
    }
    arrays = {name: getattr(table, name) for name in _ARRAYS}
    with path.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def load_table(path: Path) -> QualityTable:
    """Read a table, or the one in a run folder.

    Raises:
        DataError: There is none, or it is damaged, of another version, or lacks a feature of
            pairs; those that it has beyond them are left out.
    """
    file = path / TABLE_NAME if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file}: no such table; make it with 'armseg quality collect'")
    try:
        with np.load(file, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            arrays: dict[str, Any] = {name: stored[name] for name in _ARRAYS}
    except Exception as error:  # a damaged zip raises a dozen unrelated types
        raise DataError(f"{file}: not a quality table ({type(error).__name__}: {error})") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(f"{file}: is of version {version}, expected {FORMAT_VERSION}")
    if lacking := sorted({*_LISTS, "detector", "origin"} - set(header)):
        raise DataError(f"{file}: is damaged, it lacks {lacking[0]}; segment the pictures again")
    lists: dict[str, Any] = {name: tuple(header[name]) for name in _LISTS}
    if lacking := sorted(set(PAIR_FEATURES) - set(lists["pair_names"])):
        raise DataError(f"{file}: lacks the pair feature {lacking[0]}; segment the pictures again")
    places = [lists["pair_names"].index(name) for name in PAIR_FEATURES]
    arrays["pairs"], lists["pair_names"] = arrays["pairs"][:, places], PAIR_FEATURES
    return QualityTable(**arrays, **lists, detector=header["detector"], origin=header["origin"])


def join_tables(tables: Sequence[QualityTable]) -> QualityTable:
    """Put tables of one detector under one another.

    Raises:
        DataError: They were made with different detectors or features.
    """
    first = tables[0]
    for other in tables[1:]:
        if other.detector != first.detector:
            raise DataError(
                f"tables of different detectors ({first.detector[:12]}, {other.detector[:12]}); "
                "flags are fitted to one"
            )
        if (other.names, other.pair_names) != (first.names, first.pair_names):
            raise DataError("the tables hold different features; collect them again")
        if other.origin.get("thresholds") != first.origin.get("thresholds"):
            raise DataError("the tables were decoded with different thresholds; collect them again")
    starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(t, name) for t in tables]) for name in _ARRAYS
    }
    instance_starts = np.cumsum([0, *(len(table.over) for table in tables[:-1])])
    offsets = {"picture": starts, "pair_picture": starts, "pair_rows": instance_starts}
    for name, offset in offsets.items():
        shifted = [getattr(t, name) + start for t, start in zip(tables, offset, strict=True)]
        arrays[name] = np.concatenate(shifted).astype(np.int32)
    return QualityTable(
        names=first.names,
        pair_names=first.pair_names,
        groups=tuple(group for table in tables for group in table.groups),
        sample_ids=tuple(name for table in tables for name in table.sample_ids),
        detector=first.detector,
        origin={
            "thresholds": first.origin.get("thresholds"),
            "parts": [table.origin for table in tables],
        },
        **arrays,
    )
