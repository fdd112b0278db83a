# SPDX-License-Identifier: Apache-2.0
"""Overlays: what is drawn where, at which size, and that the picture itself stays untouched."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.overlay import draw_overlay, instance_color
from armseg_ros.types import OBJECT, TOTE, Detections, Mask


def detections(class_ids: list[int]) -> Detections:
    boxes = [[20 + 60 * k, 20, 60 + 60 * k, 80] for k in range(len(class_ids))]
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids, np.int32),
        masks=tuple(Mask(np.ones((60, 40), bool), 20 + 60 * k, 20) for k in range(len(class_ids))),
        crowd=np.zeros(len(class_ids), bool),
        scores=np.linspace(0.9, 0.5, len(class_ids)).astype(np.float32),
    )


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_objects_are_filled_and_totes_outlined(scale: float) -> None:
    image = np.full((100, 200, 3), 100, np.uint8)
    drawn = draw_overlay(image, detections([OBJECT, TOTE]), scale)
    assert drawn.shape == (round(100 * scale), round(200 * scale), 3)
    assert (image == 100).all()
    inside_object = drawn[int(30 * scale), int(26 * scale)]
    assert np.ptp(inside_object.astype(int)) > 30
    inside_tote = drawn[int(60 * scale), int(110 * scale)]
    np.testing.assert_array_equal(inside_tote, 100)


def test_nothing_found_leaves_the_picture() -> None:
    image = np.full((10, 20, 3), 7, np.uint8)
    np.testing.assert_array_equal(draw_overlay(image, detections([])), image)


def test_neighbouring_instances_have_colours_far_apart() -> None:
    colors = np.array([instance_color(index) for index in range(8)], int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 150
