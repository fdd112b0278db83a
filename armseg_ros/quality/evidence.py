# SPDX-License-Identifier: Apache-2.0
"""What the quality features are made from, on one coarse grid that all of them share.

The grid has one cell per eight network pixels for a 640 input (80x80). Masks live there as (N, h,
w) arrays, so that every feature of every instance is a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.decode import PROTOTYPE_STRIDE
from armseg_ros.types import (
    OBJECT,
    TOTE,
    BoolArray,
    Candidates,
    Detections,
    Float32Array,
    RawOutput,
)

GRID_SIDE = 80  # cells along the longer side, about
MAX_POOL = 300  # best candidates that are looked at
MAX_DRAWN = 48  # of these, the ones whose masks are looked at
SAMPLES = 2  # of the picture per cell and axis: all of them cost ten times as much
LOGIT_LIMIT = np.float32(30)  # a sigmoid is 0 or 1 beyond it
COEFFICIENT_LIMIT = np.float32(1e6)  # far beyond any network's; squares of more overflow


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything about one picture that features read; boxes are in grid cells.

    Attributes:
        objects: (N,) indices of the judged instances among the detections: objects only.
        boxes: (N, 4) float32 x1, y1, x2, y2 of the instances.
        scores: (N,) float32, 0..1.
        coefficients: (N, M) float32 mask coefficients.
        pool_boxes: (C, 4) float32 of the best object candidates, kept ones included.
        pool_scores: (C,) float32, 0..1.
        pool_coefficients: (C, M) float32.
        pool_masks: (B, ceil(h/2) * ceil(w/2)) float32, 0 or 1: masks of the best B candidates of
            the pool on a grid half as fine.
        logits: (N, h, w) float32 mask logits, not cut to the boxes.
        in_box: (N, h, w) bool, True where a cell's centre lies in the box.
        masks: (N, h, w) bool, where the logit is above 0 in the box.
        lab: (h, w, 3) float32 CIE L*a*b* of the picture.
        gradient: (h, w) float32, magnitude of the gradient of L* per cell.
        tote: (h, w) bool, mask of the totes; all False without one.
        finite: Whether the network's numbers were all finite; what was not counts as 0 here.
    """

    objects: npt.NDArray[np.intp]
    boxes: Float32Array
    scores: Float32Array
    coefficients: Float32Array
    pool_boxes: Float32Array
    pool_scores: Float32Array
    pool_coefficients: Float32Array
    pool_masks: Float32Array
    logits: Float32Array
    in_box: BoolArray
    masks: BoolArray
    lab: Float32Array
    gradient: Float32Array
    tote: BoolArray
    finite: bool

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the grid in cells."""
        return self.gradient.shape[0], self.gradient.shape[1]


def gather(
    candidates: Candidates, detections: Detections, raw: RawOutput, tensor: Float32Array
) -> Evidence:
    """Bring one decoded picture onto the grid.

    Args:
        candidates: What non-maximum suppression started from.
        detections: What it kept, in source pixels; only classes and scores are read.
        raw: The network's answer; only the prototypes are read.
        tensor: (1, 3, h, w) float32 network input, RGB in 0..1.

    Raises:
        ValueError: The candidates do not belong to the detections.
    """
    kept = kept_rows(candidates)
    if not np.array_equal(candidates.suppressed_by[kept], np.arange(len(detections))):
        raise ValueError(
            f"candidates name {len(kept)} instances, but there are {len(detections)} detections; "
            "both must come from one call of decode"
        )
    step = max(1, round(max(raw.prototypes.shape[1:]) / GRID_SIDE))
    prototypes = np.ascontiguousarray(raw.prototypes[:, ::step, ::step])
    hw = prototypes.shape[1], prototypes.shape[2]
    cell_px = np.float32(PROTOTYPE_STRIDE * step)
    objects = np.flatnonzero(detections.class_ids == OBJECT)
    totes = np.flatnonzero(detections.class_ids == TOTE)
    pool = np.flatnonzero(candidates.class_ids == OBJECT)[:MAX_POOL]
    judged = np.concatenate((kept[objects], kept[totes]))
    boxes = candidates.boxes[judged] / cell_px
    logits, finite = _logits(candidates.coefficients[judged], prototypes)
    coefficients, known = _bounded(candidates.coefficients)
    in_box = _in_box(boxes, hw, 0.5 / step)
    masks = (logits > 0) & in_box
    count = len(objects)
    lab, gradient = _picture(tensor, hw)
    return Evidence(
        objects=objects,
        boxes=boxes[:count],
        scores=detections.scores[objects],
        coefficients=coefficients[kept[objects]],
        pool_boxes=candidates.boxes[pool] / cell_px,
        pool_scores=candidates.scores[pool],
        pool_coefficients=coefficients[pool],
        pool_masks=_pool_masks(candidates, pool[:MAX_DRAWN], prototypes, cell_px),
        logits=logits[:count],
        in_box=in_box[:count],
        masks=masks[:count],
        lab=lab,
        gradient=gradient,
        tote=np.logical_or.reduce(masks[count:], axis=0, out=np.zeros(hw, np.bool_)),
        finite=finite and known,
    )


def kept_rows(candidates: Candidates) -> npt.NDArray[np.intp]:
    """(N,) candidate that became each instance: the best of those that name it."""
    owned = np.flatnonzero(candidates.suppressed_by >= 0)
    _, first = np.unique(candidates.suppressed_by[owned], return_index=True)
    rows: npt.NDArray[np.intp] = owned[first]
    return rows


def _bounded(coefficients: Float32Array) -> tuple[Float32Array, bool]:
    """Cut what is out of all proportion, and say whether all of them were finite."""
    largest = np.abs(coefficients).max(initial=0)
    if largest <= COEFFICIENT_LIMIT:
        return coefficients, True
    known = np.nan_to_num(coefficients, nan=0.0, posinf=0.0, neginf=0.0)
    bounded: Float32Array = np.clip(known, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT)
    return bounded, bool(np.isfinite(largest))


def _logits(coefficients: Float32Array, prototypes: Float32Array) -> tuple[Float32Array, bool]:
    with np.errstate(invalid="ignore", over="ignore"):
        logits = coefficients @ prototypes.reshape(len(prototypes), -1)
    finite = bool(np.isfinite(logits if len(logits) else prototypes).all())
    if not finite:
        logits[~np.isfinite(logits)] = -LOGIT_LIMIT
    np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT, out=logits)
    return logits.reshape(-1, *prototypes.shape[1:]), finite


def _pool_masks(
    candidates: Candidates,
    rows: npt.NDArray[np.intp],
    prototypes: Float32Array,
    cell_px: np.float32,
) -> Float32Array:
    coarse = np.ascontiguousarray(prototypes[:, ::2, ::2])
    hw = coarse.shape[1], coarse.shape[2]
    with np.errstate(invalid="ignore", over="ignore"):
        logits = candidates.coefficients[rows] @ coarse.reshape(len(coarse), -1)
    masks = (logits.reshape(-1, *hw) > 0) & _in_box(
        candidates.boxes[rows] / (2 * cell_px), hw, 0.25
    )
    return masks.reshape(len(rows), hw[0] * hw[1]).astype(np.float32)


def _in_box(boxes: Float32Array, grid_hw: tuple[int, int], centre: float) -> BoolArray:
    """(N, h, w): whether the sampled prototype pixel of a cell lies in the box."""
    x = np.arange(grid_hw[1], dtype=np.float32) + np.float32(centre)
    y = np.arange(grid_hw[0], dtype=np.float32) + np.float32(centre)
    columns = (x >= boxes[:, 0:1]) & (x < boxes[:, 2:3])
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:4])
    return rows[:, :, None] & columns[:, None, :]


def _picture(tensor: Float32Array, grid_hw: tuple[int, int]) -> tuple[Float32Array, Float32Array]:
    height, width = grid_hw
    small = np.empty((height, width, 3), np.float32)
    stride = max(1, tensor.shape[2] // height // SAMPLES)
    for channel, plane in enumerate(tensor[0, :, ::stride, ::stride]):
        sampled = np.ascontiguousarray(plane)
        small[:, :, channel] = cv2.resize(sampled, (width, height), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)
    lightness = np.ascontiguousarray(lab[:, :, 0])
    dx = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, scale=1 / 8)
    dy = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, scale=1 / 8)
    return lab.astype(np.float32, copy=False), cv2.magnitude(dx, dy).astype(np.float32, copy=False)
