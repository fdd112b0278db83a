# SPDX-License-Identifier: Apache-2.0
"""Instances inside other instances: a part of the same thing, or another thing on top.

A mask that holds another one is either merging two things, where the inner one is real, or the
inner one is a duplicate or a part; which of the two, contrast and score of the inner one tell.
"""

from __future__ import annotations

import numpy as np

from armseg_ros.quality.cells import Cells
from armseg_ros.quality.evidence import Evidence
from armseg_ros.quality.pairs import PAIR_FEATURES, Pairs
from armseg_ros.types import Float32Array

LEAST = 0.3  # share of the inner mask inside the outer one
DESCRIBED = (
    "cosine", "mask_parent", "colour_distance", "colour_overlap", "border_contrast", "size_ratio",
)  # fmt: skip


def nested_features(evidence: Evidence, cells: Cells, pairs: Pairs) -> dict[str, Float32Array]:
    """Features of every instance as the outer one (holds) and as the inner one (held)."""
    count = len(evidence)
    inside = pairs.common / cells.area[None, :]  # (i, j): share of j inside i
    smaller = cells.area[None, :] < cells.area[:, None]
    held = np.where(smaller & ~np.eye(count, dtype=np.bool_), inside, np.float32(0))
    index = np.full((count, count), -1, np.intp)
    index[pairs.first, pairs.second] = index[pairs.second, pairs.first] = np.arange(len(pairs))
    return {
        "holds_count": np.log1p((held > 0.8).sum(axis=1)).astype(np.float32),
        "holds_union": _covered(held, cells),
        **_describe("holds", held, evidence, (index, pairs)),
        **_describe("held", held.T, evidence, (index, pairs)),
    }


def _covered(held: Float32Array, cells: Cells) -> Float32Array:
    """Share of each mask that its inner ones add up to."""
    total: Float32Array = ((held > 0.5) * cells.area[None, :]).sum(axis=1) / cells.area
    return total.astype(np.float32)


def _describe(
    name: str,
    share: Float32Array,
    evidence: Evidence,
    lookup: tuple[np.ndarray, Pairs],
) -> dict[str, Float32Array]:
    """The strongest relation of each instance, and what the pair looks like; 0 without one."""
    count = len(evidence)
    columns = [PAIR_FEATURES.index(column) for column in DESCRIBED]
    table = np.zeros((count, 2 + len(DESCRIBED)), np.float32)
    if count:
        index, pairs = lookup
        weighted = share * (0.5 + evidence.scores[None, :])
        other = weighted.argmax(axis=1)
        strongest = share[np.arange(count), other]
        pair = index[np.arange(count), other]
        some = np.flatnonzero((strongest > LEAST) & (pair >= 0))
        table[some, 0] = strongest[some]
        table[some, 1] = evidence.scores[other[some]]
        table[some, 2:] = pairs.features[pair[some]][:, columns]
    return {
        f"{name}_{column}": table[:, k] for k, column in enumerate(("share", "score", *DESCRIBED))
    }
