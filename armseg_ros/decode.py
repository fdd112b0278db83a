# SPDX-License-Identifier: Apache-2.0
"""From raw network rows to instances: candidates, non-maximum suppression, crop masks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from armseg_ros.config import DecodeConfig
from armseg_ros.letterbox import Letterbox
from armseg_ros.masks import box_iou
from armseg_ros.types import (
    Candidates,
    Detections,
    Float32Array,
    Int32Array,
    Mask,
    RawOutput,
)

PROTOTYPE_STRIDE = 4  # network pixels per prototype pixel
CLASS_OFFSET_PX = 7680.0  # moves classes apart so that their boxes never overlap


def decode(
    raw: RawOutput, letterbox: Letterbox, config: DecodeConfig
) -> tuple[Detections, Candidates]:
    """Turn one network answer into instances in source pixels.

    Returns:
        The instances by descending score (N = 0 where nothing passes), and the candidates they
        were chosen from, each with the instance that suppressed it.
    """
    boxes, scores, class_ids, coefficients = select_candidates(raw, config)
    kept, suppressed_by = suppress(boxes, scores, class_ids, config)
    candidates = Candidates(boxes, scores, class_ids, coefficients, suppressed_by)
    source_boxes = letterbox.boxes_to_source(boxes[kept])
    masks = crop_masks(coefficients[kept], raw.prototypes, source_boxes, letterbox)
    detections = Detections(
        boxes=source_boxes,
        class_ids=class_ids[kept],
        masks=masks,
        crowd=np.zeros(len(kept), np.bool_),
        scores=scores[kept],
    )
    return detections, candidates


def select_candidates(
    raw: RawOutput, config: DecodeConfig
) -> tuple[Float32Array, Float32Array, Int32Array, Float32Array]:
    """Keep the rows whose score (objectness times class score) passes the lower threshold.

    Returns:
        Boxes (K, 4) x1, y1, x2, y2 in network pixels, scores (K,), class ids (K,) and mask
        coefficients (K, M), by descending score. Rows with a box or score that is not
        finite are dropped.
    """
    threshold = lowest_score(config)
    rows = raw.candidates[raw.candidates[:, 4] > threshold]
    rows = rows[np.isfinite(rows[:, : 5 + raw.class_count]).all(axis=1)]
    class_scores = rows[:, 5 : 5 + raw.class_count] * rows[:, 4:5]
    if config.multi_label and raw.class_count > 1:
        row, class_ids = np.nonzero(class_scores > threshold)
    else:
        best = class_scores.argmax(axis=1)
        row = np.flatnonzero(class_scores[np.arange(len(rows)), best] > threshold)
        class_ids = best[row]
    if config.class_ids:
        wanted = np.isin(class_ids, config.class_ids)
        row, class_ids = row[wanted], class_ids[wanted]
    scores = class_scores[row, class_ids]
    order = np.argsort(-scores, kind="stable")[: config.max_candidates]
    row, class_ids = row[order], class_ids[order]
    centre, half = rows[row, :2], rows[row, 2:4] / np.float32(2)
    boxes = np.concatenate((centre - half, centre + half), axis=1)
    coefficients = rows[row, 5 + raw.class_count :]
    return boxes, scores[order], class_ids.astype(np.int32), coefficients


def lowest_score(config: DecodeConfig) -> float:
    """Score that a row must pass to be looked at."""
    return min(config.candidate_threshold, config.score_threshold)


def suppress(
    boxes: Float32Array, scores: Float32Array, class_ids: Int32Array, config: DecodeConfig
) -> tuple[npt.NDArray[np.intp], Int32Array]:
    """Greedy non-maximum suppression that remembers who suppressed whom.

    Args:
        boxes: (K, 4) float32 x1, y1, x2, y2 by descending score.
        scores: (K,) float32, descending.
        class_ids: (K,) int32; boxes of different classes do not meet unless class-agnostic.
        config: Thresholds; a row is suppressed where its overlap is strictly above the threshold.

    Returns:
        Indices of the kept rows, and ``Candidates.suppressed_by``.
    """
    suppressed_by = np.full(len(scores), -1, np.int32)
    kept: list[int] = []
    if not config.class_agnostic:
        boxes = boxes + class_ids[:, None].astype(np.float32) * np.float32(CLASS_OFFSET_PX)
    eligible = int(np.count_nonzero(scores > config.score_threshold))
    for index in range(eligible):
        if suppressed_by[index] >= 0:
            continue
        if len(kept) == config.max_detections:
            break
        overlap = box_iou(boxes[index : index + 1], boxes[index + 1 :])[0]
        later = suppressed_by[index + 1 :]
        later[(overlap > config.iou_threshold) & (later < 0)] = len(kept)
        suppressed_by[index] = len(kept)
        kept.append(index)
    return np.array(kept, np.intp), suppressed_by


def crop_masks(
    coefficients: Float32Array,
    prototypes: Float32Array,
    boxes: Float32Array,
    letterbox: Letterbox,
) -> tuple[Mask, ...]:
    """Compute each mask inside its own box, straight at source resolution.

    The logit of a source pixel is the bilinear value of ``coefficients @ prototypes`` at the
    pixel's centre; the mask is where it is above 0 and the pixel index lies in the box.

    Args:
        coefficients: (N, M) float32.
        prototypes: (M, h/4, w/4) float32.
        boxes: (N, 4) float32 x1, y1, x2, y2 in source pixels.
        letterbox: Geometry of the picture.

    Returns:
        N crops, column-major in memory (the order of COCO run-lengths); a box that holds no pixel
        gives an empty crop.
    """
    edges = np.ceil(boxes).astype(int)
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number lies in no mask
        return tuple(
            _crop_mask(row, prototypes, (left, top, right, bottom), letterbox)
            for row, (left, top, right, bottom) in zip(coefficients, edges.tolist(), strict=True)
        )


def _crop_mask(
    coefficients: Float32Array,
    prototypes: Float32Array,
    crop: tuple[int, int, int, int],
    letterbox: Letterbox,
) -> Mask:
    left, top, right, bottom = crop
    if right <= left or bottom <= top:
        return Mask(np.zeros((0, 0), np.bool_), left, top)
    _, rows, columns = prototypes.shape
    (x_first, x_last), x_centres = prototype_positions(letterbox, 1, (left, right), columns)
    (y_first, y_last), y_centres = prototype_positions(letterbox, 0, (top, bottom), rows)
    window = prototypes[:, y_first:y_last, x_first:x_last]
    height, width = y_last - y_first, x_last - x_first
    logits = (coefficients @ window.reshape(len(window), -1)).reshape(height, width)
    # Bilinear interpolation as two matrix products: exact, where the warps of OpenCV 4 round to
    # 1/32 prototype pixel. Transposed, so that the crop comes out column-major without a copy.
    along_x = _linear_weights(x_centres, width)
    along_y = _linear_weights(y_centres, height)
    transposed = along_x @ logits.T @ along_y.T
    return Mask((transposed > 0).T, left, top)


def _linear_weights(positions: npt.NDArray[np.float64], size: int) -> Float32Array:
    """Weights of linear interpolation: (len(positions), size), each row adds up to 1.

    Positions outside 0..size-1 take the nearest end.
    """
    positions = positions.clip(0, size - 1)
    lower = np.minimum(positions.astype(np.intp), max(size - 2, 0))
    upper_share = (positions - lower).astype(np.float32)
    weights = np.zeros((len(positions), size), np.float32)
    row = np.arange(len(positions))
    weights[row, lower] = 1 - upper_share
    weights[row, np.minimum(lower + 1, size - 1)] += upper_share
    return weights


def prototype_positions(
    letterbox: Letterbox, axis: int, span: tuple[int, int], prototype_size: int
) -> tuple[tuple[int, int], npt.NDArray[np.float64]]:
    """Where source pixels start..stop-1 lie among the prototype pixels, along one axis.

    The centre of source pixel u lies at ``(u + .5) * gain + pad`` network pixels, and prototype
    pixel p has its centre at ``(p + .5) * 4``. Where the picture fills whole prototype pixels, its
    outermost one is repeated at the border, so that padding has no say.

    Returns:
        First and last + 1 prototype pixel that is read, and the positions relative to the first.
    """
    start, stop = span
    gain = letterbox.gain_xy[1 - axis]
    pad, content_end = letterbox.content_xyxy[1 - axis], letterbox.content_xyxy[3 - axis]
    low, high = 0, prototype_size - 1
    if pad % PROTOTYPE_STRIDE == 0 == content_end % PROTOTYPE_STRIDE:
        low, high = pad // PROTOTYPE_STRIDE, content_end // PROTOTYPE_STRIDE - 1
    centres = ((np.arange(start, stop) + 0.5) * gain + pad) / PROTOTYPE_STRIDE - 0.5
    first = min(max(math.floor(centres[0]), low), high)
    last = min(max(math.floor(centres[-1]) + 1, first), high)
    return (first, last + 1), centres - first
