# SPDX-License-Identifier: Apache-2.0
"""Sharpness, colours and edges of every mask."""

from __future__ import annotations

import numpy as np

from armseg_ros.quality.cells import Cells, core, ratio
from armseg_ros.quality.evidence import Evidence
from armseg_ros.types import BoolArray, Float32Array

BINS = 16  # of lightness 0..100


def sharpness_features(evidence: Evidence, cells: Cells) -> dict[str, Float32Array]:
    """How sure the network is of each mask; ``stability`` is that of Segment Anything."""
    logits, in_box = evidence.logits, evidence.in_box
    certain = np.bincount(cells.owner[cells.logits > 1], minlength=len(evidence)).astype(np.float32)
    possible = ((logits > -1) & in_box).sum(axis=(1, 2), dtype=np.float32)
    anywhere = (logits > 0).sum(axis=(1, 2), dtype=np.float32)
    return {
        "stability": certain / np.maximum(possible, 1),
        "unsure_share": (possible - certain) / np.maximum(possible, 1),
        "logit_mean": cells.mean(cells.logits[:, None])[:, 0],
        "cropped_share": (anywhere - cells.filled) / np.maximum(anywhere, 1),
    }


def edge_features(evidence: Evidence, cells: Cells) -> dict[str, Float32Array]:
    """Edges of the picture along the outline of each mask and inside it."""
    inside = core(evidence.masks).ravel()[cells.owner * evidence.gradient.size + cells.cell]
    sums = cells.mean(np.column_stack((inside, cells.gradient * inside)).astype(np.float32))
    inner, inner_edges = sums[:, 0], sums[:, 1]  # shares of the mask's area
    interior = ratio(inner_edges, inner)
    ring = ratio(cells.mean_gradient - inner_edges, 1 - inner)
    strong = inside & (cells.gradient > ring[cells.owner])
    share = cells.mean(strong[:, None].astype(np.float32))[:, 0]
    return {
        "edge_ring": ring,
        "edge_interior": interior,
        "edge_ratio": ratio(ring, interior + ring),
        "edge_strong_share": ratio(share, inner),
    }


def colour_features(evidence: Evidence, cells: Cells) -> dict[str, Float32Array]:
    """Spread of the colours, and Otsu's separability of two lightness classes times their distance.

    Two things side by side differ in lightness *and* place; print on one thing is mixed.
    """
    spread = cells.mean((cells.lab - cells.mean_lab[cells.owner]) ** 2)
    eta, threshold = _otsu(cells)
    bright = cells.lab[:, 0] > threshold[cells.owner]
    return {
        "lightness_mean": cells.mean_lab[:, 0],
        "lightness_std": np.sqrt(spread[:, 0]),
        "chroma_std": np.sqrt(spread[:, 1] + spread[:, 2]),
        "otsu_separability": eta,
        "otsu_distance": eta * _class_distance(cells, bright, evidence.grid_hw[1]),
    }


def _otsu(cells: Cells) -> tuple[Float32Array, Float32Array]:
    """Largest between-class by total variance of each mask, and the lightness that gives it."""
    count = len(cells.area)
    bins = np.minimum((cells.lab[:, 0] * (BINS / 100)).astype(np.intp), BINS - 1)
    histogram = np.bincount(cells.owner * BINS + bins, minlength=count * BINS)
    p = histogram.reshape(count, BINS) / cells.area[:, None]
    levels = np.arange(BINS)
    below, partial = np.cumsum(p, axis=1)[:, :-1], np.cumsum(p * levels, axis=1)
    mean = partial[:, -1:]
    variance = (p * levels**2).sum(axis=1) - mean[:, 0] ** 2
    between = (mean * below - partial[:, :-1]) ** 2 / np.maximum(below * (1 - below), 1e-6)
    best = between.argmax(axis=1)
    eta = between[np.arange(count), best] / np.maximum(variance, 1e-6)
    threshold = (best + 1) * (100 / BINS)
    return np.minimum(eta, 1).astype(np.float32), threshold.astype(np.float32)


def _class_distance(cells: Cells, bright: BoolArray, width: int) -> Float32Array:
    """Distance of the centroids of the two lightness classes, by the side of the mask."""
    y, x = np.divmod(cells.cell, width)
    table = np.column_stack((bright, x, y, x * bright, y * bright)).astype(np.float32)
    mean = cells.mean(table)
    share = mean[:, :1]
    light = ratio(mean[:, 3:], share)
    dark = ratio(mean[:, 1:3] - mean[:, 3:], 1 - share)
    distance = np.sqrt(((light - dark) ** 2).sum(axis=1) / cells.area)
    both = (share[:, 0] > 0) & (share[:, 0] < 1)
    return np.where(both, distance, np.float32(0)).astype(np.float32)
