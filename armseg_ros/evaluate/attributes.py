# SPDX-License-Identifier: Apache-2.0
"""What a labelled picture is like: the 25 fields of Tensorleap's ARMBench example.

Names are the seed's. Its mistakes are not repeated: brightness is measured inside the instances
(the seed measured outside), means over nothing are None (not -1, 0 or NaN), every annotation
counts (not the first 20), boxes span all parts of an object (not the first polygon), and the mean
number of occlusions is not cut to a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.overlap import Overlap
from armseg_ros.masks import box_iou
from armseg_ros.types import OBJECT, TOTE, BoolArray, Float32Array, Frame, Instances

SMALL_BOX_SHARE = 0.0003  # of the picture's area; a smaller box counts as small
BOX_OCCLUSION_IOU = 0.2
MASK_OCCLUSION_IOU = 0.1

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampleAttributes:
    """Attributes of one picture; None where there is nothing to average.

    Attributes:
        idx: Number of the picture.
        fname: Its sample id.
        origin_width: Width in pixels.
        origin_height: Height in pixels.
        instances_number: Ground truths of any class.
        tote_number: Totes.
        object_number: Objects.
        bbox_number: Boxes; the same as ``instances_number``.
        avg_instance_size: Mean mask area as a share of the picture, 0..1.
        object_avg_instance_size: Mean over objects.
        tote_avg_instance_size: Mean over totes.
        object_std_instance_size: Standard deviation over objects.
        tote_std_instance_size: Standard deviation over totes.
        object_instances_mean: Mean over objects of the mean brightness inside, 0..1.
        tote_instances_mean: The same over totes.
        object_instances_std: Standard deviation, over objects, of the standard deviation inside.
        tote_instances_std: The same over totes.
        bbox_area: Mean box area as a share of the picture, 0..1.
        bbox_aspect_ratio: Mean width by height of the boxes.
        background_percent: Share of the pixels in no mask, 0..1 (a share, whatever the name says).
        duplicate_bb: Whether two ground truths have the same class and box.
        small_bbs_number: Objects whose box is below 0.0003 of the picture.
        count_total_obj_bbox_occlusions: Pairs of objects with a box IoU above 0.2.
        avg_obj_bbox_occlusions: That, by the number of objects.
        count_obj_mask_occlusions: Pairs of objects with a mask IoU above 0.1.
    """

    idx: int
    fname: str
    origin_width: int
    origin_height: int
    instances_number: int
    tote_number: int
    object_number: int
    bbox_number: int
    avg_instance_size: float | None
    object_avg_instance_size: float | None
    tote_avg_instance_size: float | None
    object_std_instance_size: float | None
    tote_std_instance_size: float | None
    object_instances_mean: float | None
    tote_instances_mean: float | None
    object_instances_std: float | None
    tote_instances_std: float | None
    bbox_area: float | None
    bbox_aspect_ratio: float | None
    background_percent: float
    duplicate_bb: bool
    small_bbs_number: int
    count_total_obj_bbox_occlusions: int
    avg_obj_bbox_occlusions: float | None
    count_obj_mask_occlusions: int


def describe_sample(frame: Frame, truth: Instances, idx: int) -> SampleAttributes:
    """Describe a picture and its ground truth.

    Args:
        frame: The picture; its ``sample_id`` becomes ``fname``.
        truth: Ground truth in its pixels. Crowds are not counted, but are not background either.
        idx: Number of the picture.
    """
    counted = ~truth.crowd
    objects = np.flatnonzero(counted & (truth.class_ids == OBJECT))
    totes = np.flatnonzero(counted & (truth.class_ids == TOTE))
    everything = np.flatnonzero(counted)
    height, width = frame.hw
    sizes = np.array([mask.area for mask in truth.masks], float) / (height * width)
    brightness = np.array([_brightness(frame, truth, k) for k in range(len(truth))], float)
    brightness = brightness.reshape(-1, 2)
    return SampleAttributes(
        idx=idx,
        fname=frame.sample_id,
        origin_width=width,
        origin_height=height,
        instances_number=len(everything),
        tote_number=len(totes),
        object_number=len(objects),
        bbox_number=len(everything),
        avg_instance_size=_mean(sizes[everything]),
        object_avg_instance_size=_mean(sizes[objects]),
        tote_avg_instance_size=_mean(sizes[totes]),
        object_std_instance_size=_std(sizes[objects]),
        tote_std_instance_size=_std(sizes[totes]),
        object_instances_mean=_mean(brightness[objects, 0]),
        tote_instances_mean=_mean(brightness[totes, 0]),
        object_instances_std=_std(brightness[objects, 1]),
        tote_instances_std=_std(brightness[totes, 1]),
        background_percent=_background(truth, (height, width)),
        **_box_figures(truth, everything, height * width),
        **_occlusions(truth, objects, height * width),
    )


def _brightness(frame: Frame, truth: Instances, index: int) -> tuple[float, float]:
    """Mean and standard deviation over pixels and channels inside a mask, 0..1; NaN if empty."""
    mask = truth.masks[index]
    height, width = mask.crop.shape
    region = frame.image[mask.y : mask.y + height, mask.x : mask.x + width]
    pixels = region[mask.crop[: region.shape[0], : region.shape[1]]]
    if pixels.size == 0:
        return float("nan"), float("nan")
    return float(pixels.mean() / 255), float(pixels.std() / 255)


def _background(truth: Instances, hw: tuple[int, int]) -> float:
    free: BoolArray = np.ones(hw, np.bool_)
    for mask in truth.masks:
        height, width = mask.crop.shape
        region = free[mask.y : mask.y + height, mask.x : mask.x + width]
        region &= ~mask.crop[: region.shape[0], : region.shape[1]]
    return float(np.count_nonzero(free) / free.size)


def _box_figures(truth: Instances, everything: npt.NDArray[Any], pixels: int) -> dict[str, Any]:
    boxes = truth.boxes[everything].astype(float)
    sides = boxes[:, 2:] - boxes[:, :2]
    shaped = sides[sides[:, 1] > 0]
    rows = np.column_stack((truth.class_ids[everything], boxes))
    return {
        "bbox_area": _mean(sides.prod(axis=1) / pixels),
        "bbox_aspect_ratio": _mean(shaped[:, 0] / shaped[:, 1]),
        "duplicate_bb": len(np.unique(rows, axis=0)) < len(rows),
    }


def _occlusions(truth: Instances, objects: npt.NDArray[Any], pixels: int) -> dict[str, Any]:
    boxes = truth.boxes[objects]
    masks = [truth.masks[k] for k in objects]
    upper = np.triu_indices(len(objects), 1)
    box_pairs = int((box_iou(boxes, boxes)[upper] > BOX_OCCLUSION_IOU).sum())
    mask_pairs = int((Overlap.of(masks, masks).iou[upper] > MASK_OCCLUSION_IOU).sum())
    return {
        "small_bbs_number": int(small_boxes(boxes, pixels).sum()),
        "count_total_obj_bbox_occlusions": box_pairs,
        "avg_obj_bbox_occlusions": box_pairs / len(objects) if len(objects) else None,
        "count_obj_mask_occlusions": mask_pairs,
    }


def small_boxes(boxes: Float32Array, pixels: int) -> BoolArray:
    """(N,) whether boxes (N, 4) are small by the seed's measure in a picture of so many pixels."""
    small: BoolArray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) < SMALL_BOX_SHARE * pixels
    return small


def _mean(values: FloatArray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def _std(values: FloatArray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.std()) if finite.size else None
