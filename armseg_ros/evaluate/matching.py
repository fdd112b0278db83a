# SPDX-License-Identifier: Apache-2.0
"""Which prediction found which object: one greedy assignment at mask IoU 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from armseg_ros.types import Detections, Instances, Int32Array

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Who belongs to whom in one picture; a match is one to one and within a class.

    Because better scores choose first, the matches above any score threshold are those that a
    matching of only these predictions would give.

    Attributes:
        truth_of: (P,) int32 index of the ground truth that a prediction found, or -1.
        prediction_of: (G,) int32 index of the prediction that found a ground truth, or -1.
        ignored: (P,) bool, True where an unmatched prediction lies in a crowd: neither right nor
            wrong.
        iou: (P, G) float64 mask IoU within a class, 0 between classes; with a crowd it is the
            share of the prediction inside, as COCO has it.
    """

    truth_of: Int32Array
    prediction_of: Int32Array
    ignored: npt.NDArray[np.bool_]
    iou: npt.NDArray[np.float64]


def match(
    detections: Detections,
    truth: Instances,
    detection_masks: Sequence[dict[str, Any]],
    truth_masks: Sequence[dict[str, Any]],
) -> Matches:
    """Assign predictions to ground truth as COCO does: by descending score, best IoU first.

    Args:
        detections: P predictions by descending score.
        truth: G instances; crowds only excuse predictions.
        detection_masks: COCO run-lengths of the predictions, whole picture.
        truth_masks: COCO run-lengths of the ground truth, whole picture.
    """
    iou = _iou(detections, truth, detection_masks, truth_masks)
    truth_of = np.full(len(detections), -1, np.int32)
    prediction_of = np.full(len(truth), -1, np.int32)
    for index in range(len(detections)):
        free = np.where((prediction_of < 0) & ~truth.crowd, iou[index], 0.0)
        if free.size and free.max() >= MATCH_IOU:
            found = int(free.argmax())
            truth_of[index], prediction_of[found] = found, index
    in_crowd = (iou[:, truth.crowd] >= MATCH_IOU).any(axis=1)
    return Matches(truth_of, prediction_of, in_crowd & (truth_of < 0), iou)


def _iou(
    detections: Detections,
    truth: Instances,
    detection_masks: Sequence[dict[str, Any]],
    truth_masks: Sequence[dict[str, Any]],
) -> npt.NDArray[np.float64]:
    if not len(detections) or not len(truth):
        return np.zeros((len(detections), len(truth)))
    crowd = truth.crowd.astype(np.uint8).tolist()
    iou: npt.NDArray[np.float64] = coco_mask.iou(list(detection_masks), list(truth_masks), crowd)
    iou[detections.class_ids[:, None] != truth.class_ids[None, :]] = 0.0
    return iou
