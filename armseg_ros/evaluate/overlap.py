# SPDX-License-Identifier: Apache-2.0
"""How predictions and ground truth cover one another: computed once, read by every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.masks import intersection_areas
from armseg_ros.types import Float32Array, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Shares of P predictions and G ground-truth masks in one another.

    Attributes:
        iou: (P, G) float32, 0..1; intersection over union of prediction i and ground truth j.
        gt_inside_pred: (P, G) float32, 0..1; share of ground truth j inside prediction i.
        pred_inside_gt: (P, G) float32, 0..1; share of prediction i inside ground truth j.
    """

    iou: Float32Array
    gt_inside_pred: Float32Array
    pred_inside_gt: Float32Array

    def __post_init__(self) -> None:
        for name in ("iou", "gt_inside_pred", "pred_inside_gt"):
            array = getattr(self, name)
            if array.ndim != 2 or array.shape != self.iou.shape or array.dtype != np.float32:
                raise ValueError(
                    f"Overlap.{name} must be float32 of shape {self.iou.shape} (P, G), "
                    f"not {array.dtype.name} of shape {array.shape}"
                )
            array.flags.writeable = False

    @classmethod
    def of(cls, predictions: Sequence[Mask], truth: Sequence[Mask]) -> Overlap:
        """Compare every prediction with every ground truth; an empty mask shares nothing."""
        shared = intersection_areas(predictions, truth)
        pred_areas = np.array([mask.area for mask in predictions], np.int64)[:, None]
        gt_areas = np.array([mask.area for mask in truth], np.int64)[None, :]
        return cls(
            _share(shared, pred_areas + gt_areas - shared),
            _share(shared, gt_areas),
            _share(shared, pred_areas),
        )


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Float32Array:
    return (part / np.maximum(whole, 1)).astype(np.float32)


def covered_share(whole: Mask, parts: Sequence[Mask]) -> float:
    """Share of a mask that lies under the union of others, 0..1; 0 where the mask is empty.

    Areas of the parts must not be added up: masks of a network overlap.
    """
    area = whole.area
    if area == 0:
        return 0.0
    covered = np.count_nonzero(whole.crop & _paint(whole, parts).astype(np.bool_))
    return float(covered / area)


def variation_of_information(
    predictions: Sequence[Mask], truth: Sequence[Mask]
) -> tuple[float, float] | None:
    """Measure splits and merges in bits (Meila 2007) over the pixels of the ground truth.

    Every pixel needs one label on either side: later predictions are painted over earlier ones
    (hand them over by ascending score, so that the best wins), what no prediction covers is one
    segment of its own, and a pixel that two ground truths claim counts once for each.

    Returns:
        H(prediction | truth) in bits, which grows with every split, and H(truth | prediction),
        which grows with every merge; 0 is perfect. None where there is no ground truth to speak
        of.
    """
    joint = np.array(
        [
            np.bincount(_paint(mask, predictions)[mask.crop], minlength=len(predictions) + 1)
            for mask in truth
        ],
        np.float64,
    )
    if joint.sum() == 0:
        return None
    joint /= joint.sum()
    both = _entropy(joint)
    return abs(both - _entropy(joint.sum(axis=1))), abs(both - _entropy(joint.sum(axis=0)))


def _entropy(p: npt.NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def _paint(window: Mask, masks: Sequence[Mask]) -> npt.NDArray[np.int32]:
    """Paint masks into the crop of another one: 0 is nothing, k+1 is ``masks[k]``."""
    height, width = window.crop.shape
    labels = np.zeros((height, width), np.int32)
    for index, mask in enumerate(masks):
        left, top = max(mask.x, window.x), max(mask.y, window.y)
        right = min(mask.x + mask.crop.shape[1], window.x + width)
        bottom = min(mask.y + mask.crop.shape[0], window.y + height)
        if right > left and bottom > top:
            region = labels[top - window.y : bottom - window.y, left - window.x : right - window.x]
            part = mask.crop[top - mask.y : bottom - mask.y, left - mask.x : right - mask.x]
            region[part] = index + 1
    return labels
