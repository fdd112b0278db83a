# SPDX-License-Identifier: Apache-2.0
"""Instances as COCO records: annotations of ground truth, results of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armseg_ros.data.coco import CATEGORY_ID_OF_CLASS
from armseg_ros.masks import encode_full
from armseg_ros.types import Detections, Instances

CategoryId = Callable[[int], int]


def result_records(
    detections: Detections,
    image_id: int | str,
    hw: tuple[int, int],
    category_id: CategoryId = CATEGORY_ID_OF_CLASS.__getitem__,
) -> list[dict[str, Any]]:
    """Make COCO result records in source pixels; boxes are x, y, w, h.

    Args:
        detections: What a network found.
        image_id: Number or name of the picture.
        hw: Its height and width in pixels.
        category_id: Gives the category of a class; ARMBench's of our classes unless told.
    """
    records = _records(detections, hw, category_id)
    return [
        {"image_id": image_id, **record, "score": float(score)}
        for record, score in zip(records, detections.scores, strict=True)
    ]


def truth_records(truth: Instances, image_id: int, hw: tuple[int, int]) -> list[dict[str, Any]]:
    """Make COCO annotation records, still without ids; boxes are x, y, w, h."""
    return [
        {
            "image_id": image_id,
            **record,
            "area": truth.masks[index].area,
            "iscrowd": int(truth.crowd[index]),
        }
        for index, record in enumerate(_records(truth, hw, CATEGORY_ID_OF_CLASS.__getitem__))
    ]


def _records(
    instances: Instances, hw: tuple[int, int], category_id: CategoryId
) -> list[dict[str, Any]]:
    records = []
    for index, mask in enumerate(instances.masks):
        x1, y1, x2, y2 = (float(v) for v in instances.boxes[index])
        records.append(
            {
                "category_id": category_id(int(instances.class_ids[index])),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "segmentation": encode_full(mask, hw),
            }
        )
    return records
