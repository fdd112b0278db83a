# SPDX-License-Identifier: Apache-2.0
"""Outlines and boxes in other people's messages, and the label image for people's eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_msgs.msg import Header

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from armseg_ros.backends.base import Backend, open_backend
from armseg_ros.overlay import TOTE_LABEL_COLOR, draw_labels, instance_color
from armseg_ros.ros import messages, optional_outputs
from armseg_ros.ros.optional_outputs import detections_to_foxglove, detections_to_vision, outline
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_node import SegmenterNode
from armseg_ros.types import Detections, Mask

needs_vision = pytest.mark.skipif(
    optional_outputs.Detection2DArray is None, reason="vision_msgs is not installed"
)
needs_foxglove = pytest.mark.skipif(
    optional_outputs.ImageAnnotations is None, reason="foxglove_msgs is not installed"
)
HEADER = Header(frame_id="camera")


def filled(x: int, y: int, width: int, height: int) -> Mask:
    return Mask(np.ones((height, width), bool), x, y)


def detections(*masks: Mask, class_ids: tuple[int, ...] | None = None) -> Detections:
    boxes = [(m.x, m.y, m.x + m.crop.shape[1], m.y + m.crop.shape[0]) for m in masks]
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids or (0,) * len(masks), np.int32),
        masks=masks,
        crowd=np.zeros(len(masks), np.bool_),
        scores=np.linspace(0.9, 0.5, len(masks), dtype=np.float32),
    )


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> Backend:
    return open_backend(tiny_model, threads=1)


def test_outline_of_a_rectangle_has_its_four_corners() -> None:
    [corners] = outline(filled(10, 20, 30, 5))
    assert sorted(map(tuple, corners)) == [(10.5, 20.5), (10.5, 24.5), (39.5, 20.5), (39.5, 24.5)]


def test_each_part_has_an_outline_and_specks_have_none() -> None:
    crop = np.zeros((10, 30), bool)
    crop[:, :10] = crop[:, 20:] = True
    assert len(outline(Mask(crop, 0, 0))) == 2
    assert outline(filled(3, 3, 1, 1)) == []
    assert outline(Mask(np.zeros((4, 4), bool), 0, 0)) == []


def test_outline_of_a_circle_stays_near_it_with_few_points() -> None:
    y, x = np.mgrid[:201, :201]
    [points] = outline(Mask(np.hypot(x - 100, y - 100) <= 100, 0, 0))
    assert len(points) < 40
    radii = np.hypot(*(points - 100.5).T)
    assert radii.min() > 98
    assert radii.max() < 101


@needs_vision
def test_boxes_for_vision_msgs(backend: Backend) -> None:
    found = detections(filled(10, 20, 30, 40), filled(0, 0, 8, 8), class_ids=(0, 1))
    message = detections_to_vision(found, HEADER, backend)
    first, second = message.detections
    assert message.header.frame_id == first.header.frame_id == "camera"
    assert (first.id, second.id) == ("1", "2")
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (25, 40)
    assert (first.bbox.size_x, first.bbox.size_y) == (30, 40)
    names = [item.results[0].hypothesis.class_id for item in message.detections]
    assert names == ["Object", "Tote"]
    assert first.results[0].hypothesis.score == pytest.approx(0.9)
    assert detections_to_vision(detections(), HEADER, backend).detections == []


@needs_foxglove
def test_outlines_for_foxglove(backend: Backend) -> None:
    found = detections(filled(10, 20, 30, 40), filled(0, 0, 8, 8), class_ids=(0, 1))
    message = detections_to_foxglove(found, HEADER, backend)
    an_object, tote = message.points
    assert len(an_object.points) == 4
    assert an_object.fill_color.a > 0
    assert tote.fill_color.a == 0
    assert [text.text for text in message.texts] == ["1: 0.90", "2: 0.50"]
    assert detections_to_foxglove(detections(), HEADER, backend).points == []


def test_label_colors_show_objects_over_totes() -> None:
    found = detections(filled(0, 0, 20, 20), filled(5, 5, 10, 10), class_ids=(1, 0))
    picture = draw_labels(found, (40, 60))
    assert picture.shape == (40, 60, 3)
    assert tuple(picture[10, 10]) == instance_color(1)
    assert tuple(picture[1, 1]) == TOTE_LABEL_COLOR
    assert not picture[30, 30].any()
    assert draw_labels(found, (40, 60), 0.5).shape == (20, 30, 3)
    assert not draw_labels(detections(), (4, 4)).any()


def test_node_publishes_them_while_somebody_looks(graph: Any, tiny_model: Path) -> None:
    values = {"model": str(tiny_model), "threads": 1, "backend": "onnxruntime"}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = graph.add(SegmenterNode(context=graph.context, parameter_overrides=overrides))
    user = graph.add(rclpy.create_node("user", context=graph.context))
    heard: dict[str, list[Any]] = {}
    kinds = {"segmenter/label_colors": (Image, PICTURE_QOS)}
    for topic, kind, _ in optional_outputs.optional_outputs():
        kinds[topic.replace("~", "segmenter")] = (kind, RESULT_QOS)
    for topic, (kind, qos) in kinds.items():
        heard[topic] = []
        user.create_subscription(kind, topic, heard[topic].append, qos)
    camera = user.create_publisher(Image, "image", image_qos("reliable", 5))
    graph.spin_until(camera.get_subscription_count)
    made = node._outputs
    graph.spin_until(lambda: made.label_colors.watched and all(o.watched for o, _ in made._others))
    camera.publish(messages.image_to_message(np.zeros((128, 128, 3), np.uint8), "bgr8", HEADER))
    graph.spin_until(lambda: all(heard.values()))
    [colors] = heard["segmenter/label_colors"]
    assert (colors.width, colors.height, colors.encoding) == (64, 64, "bgr8")
    assert colors.header.frame_id == "camera"
