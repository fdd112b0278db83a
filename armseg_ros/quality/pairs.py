# SPDX-License-Identifier: Apache-2.0
"""Pairs of instances that might be one object, and the features of each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.quality.cells import Cells, grow, ratio
from armseg_ros.quality.evidence import Evidence
from armseg_ros.quality.hypotheses import INSIDE, Relations
from armseg_ros.quality.opinions import Opinions, common_whole
from armseg_ros.types import Float32Array

MAX_PAIRS = 24
LEAST_MARGIN = -8.0  # log-odds of an instance without any pair
PAIR_MARGIN = "pair_margin"  # column that the pair model adds to the instances'
PAIR_FEATURES = (
    "box_iou",
    "box_iomin",
    "mask_iomin",
    "leak_max",
    "leak_min",
    "cosine",
    "parent",
    "mask_parent",
    "touch",
    "colour_overlap",
    "colour_distance",
    "border_edge",
    "border_contrast",
    "score_min",
    "size_ratio",
)
COLOUR_BINS = 8  # per channel
LAB_LOW, LAB_HIGH = np.array([[0, -64, -64], [100, 64, 64]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Q pairs of instances.

    Attributes:
        first: (Q,) index into the evidence's instances.
        second: (Q,) index, larger than ``first``.
        features: (Q, len(PAIR_FEATURES)) float32.
        common: (N, N) float32 cells that two instances share.
    """

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    features: Float32Array
    common: Float32Array

    def __len__(self) -> int:
        return len(self.first)

    def strongest(self, count: int) -> Float32Array:
        """(count, F) largest value of each feature over an instance's pairs; 0 without one."""
        out = np.full((count, self.features.shape[1]), -np.inf, np.float32)
        np.maximum.at(out, self.first, self.features)
        np.maximum.at(out, self.second, self.features)
        out[~np.isfinite(out)] = 0
        return out


def strongest_margin(
    rows: npt.NDArray[np.integer[Any]], margins: npt.NDArray[np.float64], count: int
) -> Float32Array:
    """(count,) largest log-odds of an instance's pairs; the lowest there is without a pair.

    Args:
        rows: (Q, 2) the two instances of each pair.
        margins: (Q,) log-odds that the two are one object.
        count: Number of instances.
    """
    out = np.full(count, LEAST_MARGIN, np.float32)
    clipped = np.clip(margins, LEAST_MARGIN, -LEAST_MARGIN).astype(np.float32)
    for side in range(2):
        np.maximum.at(out, rows[:, side], clipped)
    return out


def pair_features(
    evidence: Evidence,
    opinions: tuple[Relations, Opinions],
    cells: Cells,
) -> Pairs:
    """Choose the pairs that touch, overlap or light up in one another, and describe them.

    Args:
        evidence: The picture.
        opinions: Candidates against instances, as boxes and as masks.
        cells: Of ``evidence.masks``.

    Returns:
        The 24 closest pairs at most.
    """
    count, size = len(evidence), evidence.gradient.size
    masks = evidence.masks.reshape(count, size).astype(np.float32)
    grown = grow(evidence.masks, 2).reshape(count, size).astype(np.float32)
    common, touch, border = masks @ masks.T, grown @ masks.T, grown @ grown.T
    edges = (grown * evidence.gradient.ravel()) @ grown.T / np.maximum(border, 1)
    lit = (evidence.logits.reshape(count, size) > 0).astype(np.float32) @ masks.T
    shared = common / np.minimum(cells.area[:, None], cells.area)
    leak = lit / cells.area
    iou, iomin = _box_overlap(evidence.boxes)
    closeness = np.maximum.reduce((leak, leak.T, iomin, shared))
    closeness += (touch > 0) * np.float32(0.5)
    first, second = _closest(closeness)
    perimeter = (border.diagonal() - cells.filled) / 2 + 1
    joined = np.minimum(touch, touch.T)[first, second]
    columns = (
        iou[first, second],
        iomin[first, second],
        shared[first, second],
        np.maximum(leak, leak.T)[first, second],
        np.minimum(leak, leak.T)[first, second],
        _cosine(evidence.coefficients[first], evidence.coefficients[second]),
        _common_parent(evidence, opinions[0], first, second),
        common_whole(opinions[1], first, second),
        joined / np.minimum(perimeter[first], perimeter[second]),
        *_colours(cells, first, second),
        edges[first, second],
        _contrast(edges, cells, (first, second)),
        np.minimum(evidence.scores[first], evidence.scores[second]),
        np.minimum(cells.area[first], cells.area[second])
        / np.maximum(cells.area[first], cells.area[second]),
    )
    table = np.stack(columns, axis=1).astype(np.float32).reshape(-1, len(PAIR_FEATURES))
    return Pairs(first, second, table, common)


def _closest(closeness: Float32Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    first, second = np.triu_indices(len(closeness), 1)
    value = closeness[first, second]
    order = np.argsort(-value, kind="stable")[:MAX_PAIRS]
    order = np.sort(order[value[order] > 0])
    return first[order], second[order]


def _box_overlap(boxes: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Intersection over union and over the smaller box, each (N, N)."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32(1e-6))
    return (
        shared / np.maximum(area[:, None] + area - shared, np.float32(1e-6)),
        shared / np.minimum(area[:, None], area),
    )


def _cosine(first: Float32Array, second: Float32Array) -> Float32Array:
    norms = np.sqrt((first * first).sum(axis=1) * (second * second).sum(axis=1))
    cosine: Float32Array = (first * second).sum(axis=1) / np.maximum(norms, np.float32(1e-6))
    return cosine


def _common_parent(
    evidence: Evidence,
    relations: Relations,
    first: npt.NDArray[np.intp],
    second: npt.NDArray[np.intp],
) -> Float32Array:
    """Best score of a candidate that covers both, times its IoU with the box around both."""
    covers = (relations.covers > INSIDE).T
    both = covers[first] & covers[second]
    a, b = evidence.boxes[first], evidence.boxes[second]
    around = np.concatenate((np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])), 1)
    out = np.zeros(len(first), np.float32)
    pair, candidate = np.nonzero(both)
    if len(pair):
        c, u = evidence.pool_boxes[candidate], around[pair]
        sides = np.minimum(c[:, 2:], u[:, 2:]) - np.maximum(c[:, :2], u[:, :2])
        shared = np.maximum(sides, 0).prod(axis=1)
        whole = (c[:, 2:] - c[:, :2]).prod(axis=1) + (u[:, 2:] - u[:, :2]).prod(axis=1) - shared
        value = evidence.pool_scores[candidate] * shared / np.maximum(whole, np.float32(1e-6))
        np.maximum.at(out, pair, value)
    return out


def _colours(
    cells: Cells, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> tuple[Float32Array, Float32Array]:
    """Bhattacharyya coefficient of the histograms (0..1), and distance of the mean colours."""
    count = len(cells.area)
    place = (cells.lab - LAB_LOW) * (COLOUR_BINS / (LAB_HIGH - LAB_LOW))
    bins = np.minimum(np.maximum(place, 0), COLOUR_BINS - 1).astype(np.intp)
    flat = (cells.owner[:, None] * 3 + np.arange(3)) * COLOUR_BINS + bins
    histogram = np.bincount(flat.ravel(), minlength=count * 3 * COLOUR_BINS)
    roots = np.sqrt(histogram.reshape(count, 3, COLOUR_BINS) / cells.area[:, None, None])
    overlap = (roots[first] * roots[second]).sum(axis=2).prod(axis=1)
    difference = cells.mean_lab[first] - cells.mean_lab[second]
    distance = np.sqrt((difference * difference).sum(axis=1))
    return overlap.astype(np.float32), distance.astype(np.float32, copy=False)


def _contrast(
    edges: Float32Array, cells: Cells, pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
) -> Float32Array:
    """Share of the mean edge between the two (0 where they are apart) beside their interior's."""
    between = edges[pairs]
    inside = np.minimum(cells.mean_gradient[pairs[0]], cells.mean_gradient[pairs[1]])
    return ratio(between, between + inside)
