# SPDX-License-Identifier: Apache-2.0
"""Detections survive the way through a serialized message, and damage is named."""

from __future__ import annotations

import array
import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from armseg_ros.errors import DataError
from armseg_ros.masks import paint_labels
from armseg_ros.msg import InstanceArray
from armseg_ros.ros import messages
from armseg_ros.types import Detections, Instances, Mask, StageTimes

HW = (40, 50)


def example() -> Detections:
    ring = np.ones((6, 9), bool)
    ring[2:4, 3:6] = False
    masks = (
        Mask(ring, 3, 5),
        Mask(np.ones((4, 4), bool), 46, 36),
        Mask(np.zeros((0, 0), bool), 0, 0),
    )
    boxes = np.array([[3, 5, 12, 11], [46, 36, 50, 40], [0.5, 0.25, 2, 3]], np.float32)
    return Detections(
        boxes=boxes,
        class_ids=np.array([0, 1, 0], np.int32),
        masks=masks,
        crowd=np.zeros(3, bool),
        scores=np.array([0.9, 0.5, 0.25], np.float32),
    )


def none_found() -> Detections:
    return Detections(
        boxes=np.zeros((0, 4), np.float32),
        class_ids=np.zeros(0, np.int32),
        masks=(),
        crowd=np.zeros(0, bool),
        scores=np.zeros(0, np.float32),
    )


def through_the_wire(message: InstanceArray) -> InstanceArray:
    return deserialize_message(serialize_message(message), InstanceArray)


@pytest.mark.parametrize("detections", [example(), none_found()], ids=["three", "none"])
def test_detections_round_trip(detections: Detections) -> None:
    header = Header(stamp=messages.time_message(1_234_567_890_123_456_789), frame_id="camera")
    message = through_the_wire(messages.instance_array(detections, header, HW))
    assert message.header == header
    assert (message.image_height, message.image_width) == HW
    back = messages.detections_from_message(message)
    np.testing.assert_array_equal(back.boxes, detections.boxes)
    np.testing.assert_array_equal(back.scores, detections.scores)
    np.testing.assert_array_equal(back.class_ids, detections.class_ids)
    assert [(m.x, m.y) for m in back.masks] == [(m.x, m.y) for m in detections.masks]
    for after, before in zip(back.masks, detections.masks, strict=True):
        np.testing.assert_array_equal(after.crop, before.crop)


def test_fields_of_an_instance() -> None:
    message = messages.instance_array(example(), Header(), HW)
    first = message.instances[0]
    assert [i.id for i in message.instances] == [1, 2, 3]
    assert (first.x_min, first.y_min, first.x_max, first.y_max) == (3, 5, 12, 11)
    assert (first.mask.x_offset, first.mask.y_offset) == (3, 5)
    assert (first.mask.height, first.mask.width, first.mask.area) == (6, 9, 48)
    assert math.isnan(first.p_over)
    assert math.isnan(first.p_under)
    assert isinstance(first.mask.counts, array.array)


def test_ground_truth_has_no_score_and_keeps_crowds() -> None:
    detections = example()
    truth = Instances(
        detections.boxes, detections.class_ids, detections.masks, np.array([False, True, False])
    )
    message = through_the_wire(messages.instance_array(truth, Header(), HW))
    assert all(math.isnan(i.score) for i in message.instances)
    assert [i.is_crowd for i in message.instances] == [False, True, False]


def test_damaged_masks_are_named() -> None:
    outside = messages.instance_array(example(), Header(), (20, 20))
    with pytest.raises(DataError, match="instance 2: mask of 4x4 at"):
        messages.detections_from_message(outside)
    damaged = messages.instance_array(example(), Header(), HW)
    damaged.instances[0].mask.counts = array.array("B", b"1")
    with pytest.raises(DataError, match="instance 1: run-lengths"):
        messages.detections_from_message(damaged)


def test_answers_that_no_segmenter_gives_are_refused() -> None:
    """Anybody in the domain may publish one; a mask of gigapixels must not be painted."""
    giant = messages.instance_array(example(), Header(), (65535, 65535))
    with pytest.raises(DataError, match="an image of 65535x65535 pixels"):
        messages.detections_from_message(giant)
    message = messages.instance_array(example(), Header(), HW)
    message.instances[1].x_max = math.inf
    with pytest.raises(DataError, match=r"instance 2: box .*inf.* is not finite"):
        messages.detections_from_message(message)


def test_times_round_trip() -> None:
    times = StageTimes(decode=1.0, preprocess=2.0, inference=3.0, postprocess=4.0, total=11.0)
    message = messages.times_to_message(times, age_at_receive=7.0, dropped_since_last=5)
    back = messages.times_from_message(message)
    assert (back.decode, back.preprocess, back.inference, back.postprocess) == (1, 2, 3, 4)
    assert back.total == 11.0
    assert math.isnan(back.quality)
    assert (message.age_at_receive, message.dropped_since_last) == (7.0, 5)


def test_label_image_grows_to_sixteen_bits_above_254() -> None:
    masks = [Mask(np.ones((1, 1), bool), k % 50, k // 50) for k in range(255)]
    header = Header(frame_id="camera")
    small = messages.labels_to_message(paint_labels(masks[:254], HW), 254, header)
    assert (small.encoding, small.step, small.header) == ("mono8", 50, header)
    assert max(small.data) == 254
    large = messages.labels_to_message(paint_labels(masks, HW), 255, header)
    assert (large.encoding, large.step) == ("mono16", 100)
    assert np.frombuffer(large.data, np.uint16).max() == 255


def test_images_that_are_views_are_copied_right() -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    message = messages.image_to_message(image[::2, 1:4], "bgr8", Header())
    assert (message.height, message.width, message.step) == (2, 3, 9)
    np.testing.assert_array_equal(
        np.frombuffer(message.data, np.uint8).reshape(2, 3, 3), image[::2, 1:4]
    )
