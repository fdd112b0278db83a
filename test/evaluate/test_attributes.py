# SPDX-License-Identifier: Apache-2.0
"""The 25 fields on a picture small enough to count by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from armseg_ros.evaluate.attributes import describe_sample
from armseg_ros.masks import mask_box
from armseg_ros.types import OBJECT, TOTE, Frame, Instances, Mask


def block(x: int, y: int, width: int, height: int) -> Mask:
    return Mask(np.ones((height, width), bool), x, y)


def labelled(masks: list[Mask], classes: list[int], crowd: list[bool] | None = None) -> Instances:
    boxes = np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    flags = np.array(crowd or [False] * len(masks), bool)
    return Instances(boxes, np.array(classes, np.int32), tuple(masks), flags)


def picture() -> Frame:
    """10 x 20 pixels: dark, with a bright left half."""
    image = np.full((10, 20, 3), 51, np.uint8)  # 0.2
    image[:, :10] = 204  # 0.8
    return Frame(image, sample_id="a.jpg")


def test_every_field() -> None:
    tote = block(0, 0, 16, 10)  # 160 pixels: 100 bright, 60 dark
    first, second = block(0, 0, 4, 5), block(2, 0, 4, 5)  # IoU 1/3
    third = block(10, 5, 4, 1)  # dark
    found = describe_sample(
        picture(), labelled([tote, first, second, third], [TOTE, OBJECT, OBJECT, OBJECT]), 7
    )
    tote_mean = (100 * 0.8 + 60 * 0.2) / 160
    expected = {
        "idx": 7,
        "fname": "a.jpg",
        "origin_width": 20,
        "origin_height": 10,
        "instances_number": 4,
        "tote_number": 1,
        "object_number": 3,
        "bbox_number": 4,
        "avg_instance_size": (160 + 20 + 20 + 4) / 4 / 200,
        "object_avg_instance_size": 44 / 3 / 200,
        "tote_avg_instance_size": 0.8,
        "object_std_instance_size": np.std([20, 20, 4]) / 200,
        "tote_std_instance_size": 0.0,
        "object_instances_mean": (0.8 + 0.8 + 0.2) / 3,
        "tote_instances_mean": tote_mean,
        "object_instances_std": 0.0,
        "tote_instances_std": 0.0,
        "bbox_area": (160 + 20 + 20 + 4) / 4 / 200,
        "bbox_aspect_ratio": (1.6 + 0.8 + 0.8 + 4) / 4,
        "background_percent": 0.2,
        "duplicate_bb": False,
        "small_bbs_number": 0,
        "count_total_obj_bbox_occlusions": 1,
        "avg_obj_bbox_occlusions": 1 / 3,
        "count_obj_mask_occlusions": 1,
    }
    values = asdict(found)
    assert len(values) == 25
    assert values == {name: pytest.approx(value) for name, value in expected.items()}


def test_brightness_is_measured_inside() -> None:
    dark = describe_sample(picture(), labelled([block(12, 0, 5, 5)], [OBJECT]), 0)
    assert dark.object_instances_mean == pytest.approx(0.2)
    assert dark.tote_instances_mean is None


def test_spread_of_brightness_is_that_of_the_spreads() -> None:
    flat, edge = block(0, 0, 4, 4), block(8, 0, 4, 4)  # the edge has a spread of 0.3
    found = describe_sample(picture(), labelled([flat, edge], [OBJECT, OBJECT]), 0)
    assert found.object_instances_std == pytest.approx(0.15)


def test_nothing_labelled() -> None:
    found = describe_sample(picture(), labelled([], []), 0)
    assert found.background_percent == 1
    assert (found.instances_number, found.count_obj_mask_occlusions) == (0, 0)
    assert found.duplicate_bb is False
    missing = [
        found.avg_instance_size,
        found.object_instances_mean,
        found.object_std_instance_size,
        found.bbox_area,
        found.bbox_aspect_ratio,
        found.avg_obj_bbox_occlusions,
    ]
    assert missing == [None] * 6


def test_duplicates_small_boxes_crowds_and_empty_masks() -> None:
    frame = Frame(np.zeros((200, 200, 3), np.uint8))  # 0.0003 of it is 12 pixels
    small, empty = block(5, 5, 3, 3), Mask(np.zeros((0, 0), bool), 0, 0)
    truth = labelled(
        [small, small, block(50, 50, 10, 10), block(100, 0, 100, 200), empty],
        [OBJECT] * 5,
        [False, False, False, True, False],
    )
    found = describe_sample(frame, truth, 0)
    assert found.duplicate_bb is True
    assert found.small_bbs_number == 3
    assert found.object_number == 4
    assert found.background_percent == pytest.approx(1 - (9 + 100 + 20000) / 40000)
    assert found.object_instances_mean == 0
    assert found.bbox_aspect_ratio == 1
