# SPDX-License-Identifier: Apache-2.0
"""Shape of every mask: how full its hull is, its parts, and where it narrows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.quality.cells import Cells
from armseg_ros.quality.evidence import Evidence
from armseg_ros.types import BoolArray, Float32Array, Uint8Array

LINE = np.linspace(0, 1, 16)  # places along the line between the two thickest ones of a mask
Hulls = Sequence[npt.NDArray[np.int32]]


def hulls_of(evidence: Evidence) -> Hulls:
    """(K, 2) int32 corners x, y of the convex hull of every mask; an empty mask has none."""
    masks = evidence.masks
    filled: BoolArray = np.asarray(masks.any(axis=2))
    first = masks.argmax(axis=2).astype(np.int32)
    last = masks.shape[2] - masks[:, :, ::-1].argmax(axis=2).astype(np.int32)
    return [_hull(*rows) for rows in zip(filled, first, last, strict=True)]


def _hull(
    filled: BoolArray, first: npt.NDArray[np.int32], last: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Hull of the corners of the outermost set cells of each row."""
    rows = np.flatnonzero(filled)
    count = len(rows)
    if not count:
        return np.zeros((0, 2), np.int32)
    points = np.empty((4 * count, 2), np.int32)
    points[:count, 0] = points[count : 2 * count, 0] = first[rows]
    points[2 * count : 3 * count, 0] = points[3 * count :, 0] = last[rows]
    points[:count, 1] = points[2 * count : 3 * count, 1] = rows
    points[count : 2 * count, 1] = points[3 * count :, 1] = rows + 1
    return cv2.convexHull(points)[:, 0].astype(np.int32, copy=False)


def _windows(evidence: Evidence) -> list[list[int]]:
    """Left, top, right, bottom of the whole cells that hold each mask."""
    height, width = evidence.grid_hw
    low = np.floor(evidence.boxes[:, :2])
    high = np.ceil(evidence.boxes[:, 2:])
    limit = [width, height, width, height]
    edges = np.minimum(np.maximum(np.concatenate((low, high), axis=1), 0), limit)
    windows: list[list[int]] = edges.astype(int).tolist()
    return windows


def shape_features(evidence: Evidence, cells: Cells) -> dict[str, Float32Array]:
    """Solidity, parts and waist of each mask; an empty mask gives 0."""
    rows = [
        _parts_and_waist(mask[y:bottom, x:right], logits[y:bottom, x:right])
        for mask, logits, (x, y, right, bottom) in zip(
            evidence.masks, evidence.logits, _windows(evidence), strict=True
        )
    ]
    table = np.array(rows, np.float32).reshape(len(evidence), 4)
    hulls = hulls_of(evidence)
    hull_area = np.array([cv2.contourArea(hull) if len(hull) else 0 for hull in hulls], np.float32)
    sides = np.maximum(evidence.boxes[:, 2:] - evidence.boxes[:, :2], np.float32(1e-3))
    return {
        "solidity": cells.filled / np.maximum(hull_area, 1),
        "second_part_share": table[:, 0],
        "parts": table[:, 1],
        "waist": table[:, 2],
        "valley": table[:, 3],
        "extent": np.minimum(cells.area / sides.prod(axis=1), np.float32(2)),
        "aspect": np.abs(np.log(sides[:, 0] / sides[:, 1])),
        "log_area": np.log(cells.area),
        "relative_area": np.log(cells.area / _median(cells.area)),
    }


def _median(values: Float32Array) -> np.float32:
    return np.float32(np.median(values)) if len(values) else np.float32(1)


def _parts_and_waist(crop: BoolArray, logits: Float32Array) -> tuple[float, float, float, float]:
    """Area of the second part by the first, number of parts, waist and valley."""
    if not crop.any():
        return 0.0, 0.0, 0.0, 0.0
    padded = cv2.copyMakeBorder(crop.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    count, _, stats, _ = cv2.connectedComponentsWithStats(padded)
    areas = sorted(stats[1:, cv2.CC_STAT_AREA].tolist(), reverse=True)
    second = areas[1] / areas[0] if count > 2 else 0.0
    return second, float(count - 1), *_waist(padded.view(np.uint8), logits)


def _waist(padded: Uint8Array, logits: Float32Array) -> tuple[float, float]:
    """How much a mask narrows, and its logit falls, between its two thickest places; 0..1."""
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    _, first_depth, _, first = cv2.minMaxLoc(depth)
    rest = depth.copy()
    cv2.circle(rest, first, max(1, round(1.5 * first_depth)), 0.0, -1)
    _, second_depth, _, second = cv2.minMaxLoc(rest)
    if second_depth <= 0:
        return 0.0, 0.0
    x = np.rint(first[0] + (second[0] - first[0]) * LINE).astype(int)
    y = np.rint(first[1] + (second[1] - first[1]) * LINE).astype(int)
    waist = 1 - depth[y, x].min() / second_depth
    line = logits[(y - 1), (x - 1)]
    ends = min(line[0], line[-1])
    valley = 1 - line.min() / ends if ends > 0 else 0.0
    return float(waist), float(min(max(valley, 0.0), 2.0))
