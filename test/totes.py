# SPDX-License-Identifier: Apache-2.0
"""Small labelled pictures in ARMBench's layout, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from armseg_ros.data.coco import CATEGORIES
from armseg_ros.types import Detections, Instances, Mask

HW = (48, 64)


def write_coco(
    folder: Path,
    split: str = "test",
    *,
    count: int = 4,
    labelled: bool = True,
    suffix: str = ".jpg",
) -> Path:
    """Write a COCO folder: each picture has a tote and as many objects as its number."""
    random = np.random.default_rng(7)
    document: dict[str, Any] = {"images": [], "categories": list(CATEGORIES)}
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        name = f"cell_{number % 2}/{number:03d}{suffix}"
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(0, 255, (*HW, 3), np.uint8))
        color = "yellow" if number % 2 else "blue"
        document["images"].append(
            {
                "id": 10 * number + 3,
                "file_name": name,
                "height": HW[0],
                "width": HW[1],
                "tote_color": color,
            }
        )
        boxes = [(2, 2, 60, 44, 1)] + [(5 + 9 * n, 6 + 5 * n, 12, 9, 2) for n in range(number)]
        for x, y, width, height, category in boxes:
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 10 * number + 3,
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
    if labelled:
        document["annotations"] = annotations
    (folder / f"{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def edit_json(path: Path, change: Any) -> None:
    """Apply ``change`` to the document in a JSON file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def box_mask(x: int, y: int, width: int, height: int) -> Mask:
    """Make a full rectangle."""
    return Mask(np.ones((height, width), bool), x, y)


def instances(
    masks: list[Mask], class_ids: list[int], crowd: list[bool] | None = None
) -> Instances:
    """Make ground truth from masks."""
    return Instances(
        _boxes(masks), np.array(class_ids, np.int32), tuple(masks), _crowd(masks, crowd)
    )


def detections(masks: list[Mask], class_ids: list[int], scores: list[float]) -> Detections:
    """Make detections from masks; scores must descend."""
    return Detections(
        _boxes(masks),
        np.array(class_ids, np.int32),
        tuple(masks),
        _crowd(masks, None),
        np.array(scores, np.float32),
    )


def _boxes(masks: list[Mask]) -> Any:
    boxes = [(m.x, m.y, m.x + m.crop.shape[1], m.y + m.crop.shape[0]) for m in masks]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _crowd(masks: list[Mask], crowd: list[bool] | None) -> Any:
    return np.array(crowd or [False] * len(masks), np.bool_)


def assert_same_instances(a: Instances | None, b: Instances | None) -> None:
    """Compare class, crowd, boxes and pixels."""
    assert a is not None
    assert b is not None
    np.testing.assert_array_equal(a.class_ids, b.class_ids)
    np.testing.assert_array_equal(a.crowd, b.crowd)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    for first, second in zip(a.masks, b.masks, strict=True):
        assert (first.x, first.y) == (second.x, second.y)
        np.testing.assert_array_equal(first.crop, second.crop)
