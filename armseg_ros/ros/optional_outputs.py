# SPDX-License-Identifier: Apache-2.0
"""Outputs in other people's messages, where their packages are installed.

``vision_msgs`` for tools that draw or track boxes, ``foxglove_msgs`` for outlines on the camera's
own picture. Neither is among the wheels on PyPI.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from armseg_ros.backends.base import Backend
from armseg_ros.overlay import instance_color
from armseg_ros.types import OBJECT, Detections, Mask

try:
    from vision_msgs.msg import (
        BoundingBox2D,
        Detection2D,
        Detection2DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
        Point2D,
        Pose2D,
    )
except ImportError:
    Detection2DArray = None
try:
    from foxglove_msgs.msg import Color, ImageAnnotations, Point2, PointsAnnotation, TextAnnotation
except ImportError:
    ImageAnnotations = None

TOLERANCE_PX = 1.5  # outlines may leave out corners up to here: thousands of points become dozens
FILL_ALPHA = 0.3
FONT_SIZE_PX = 36.0  # of a 5-megapixel picture

Maker = Callable[[Detections, Any, Backend], Any]


def optional_outputs() -> list[tuple[str, Any, Maker]]:
    """List topic, type and maker of each output whose package is installed."""
    found: list[tuple[str, Any, Maker]] = []
    if Detection2DArray is not None:
        found.append(("~/detections", Detection2DArray, detections_to_vision))
    if ImageAnnotations is not None:
        found.append(("~/annotations", ImageAnnotations, detections_to_foxglove))
    return found


def detections_to_vision(detections: Detections, header: Any, backend: Backend) -> Any:
    """Make a ``vision_msgs/Detection2DArray``: boxes in source pixels, class names, scores.

    Args:
        detections: The instances; ``id`` of each is that in ``~/instances``.
        header: Header of the image.
        backend: What found them; it knows the class names.
    """
    names = backend.model.class_names
    out = Detection2DArray(header=header)
    for index, (x_min, y_min, x_max, y_max) in enumerate(detections.boxes.tolist()):
        class_id = int(detections.class_ids[index])
        hypothesis = ObjectHypothesis(
            class_id=names[class_id] if class_id < len(names) else str(class_id),
            score=float(detections.scores[index]),
        )
        centre = Point2D(x=(x_min + x_max) / 2, y=(y_min + y_max) / 2)
        box = BoundingBox2D(
            center=Pose2D(position=centre), size_x=x_max - x_min, size_y=y_max - y_min
        )
        out.detections.append(
            Detection2D(
                header=header,
                id=str(index + 1),
                bbox=box,
                results=[ObjectHypothesisWithPose(hypothesis=hypothesis)],
            )
        )
    return out


def detections_to_foxglove(detections: Detections, header: Any, _backend: Backend) -> Any:
    """Make a ``foxglove_msgs/ImageAnnotations``: outlines, filled for objects, and scores."""
    out = ImageAnnotations()
    for index, mask in enumerate(detections.masks):
        blue, green, red = (channel / 255 for channel in instance_color(index))
        is_object = detections.class_ids[index] == OBJECT
        for contour in outline(mask):
            out.points.append(
                PointsAnnotation(
                    timestamp=header.stamp,
                    type=PointsAnnotation.LINE_LOOP,
                    points=[Point2(x=x, y=y) for x, y in contour.tolist()],
                    outline_color=Color(r=red, g=green, b=blue, a=1.0),
                    fill_color=Color(r=red, g=green, b=blue, a=FILL_ALPHA if is_object else 0.0),
                    thickness=3.0,
                )
            )
        x_min, y_min, x_max, y_max = detections.boxes[index].tolist()
        out.texts.append(
            TextAnnotation(
                timestamp=header.stamp,
                position=Point2(x=(x_min + x_max) / 2, y=(y_min + y_max) / 2),
                text=f"{index + 1}: {detections.scores[index]:.2f}",
                font_size=FONT_SIZE_PX,
                text_color=Color(r=1.0, g=1.0, b=1.0, a=1.0),
                background_color=Color(a=0.5),
            )
        )
    return out


def outline(mask: Mask) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Follow the outer borders of a mask, one for each of its parts.

    Returns:
        (P, 2) float64 x, y in source pixels, corners left out up to ``TOLERANCE_PX``; parts of
        fewer than three points are left out.
    """
    crop = np.ascontiguousarray(mask.crop).view(np.uint8)
    contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    simple = (cv2.approxPolyDP(contour, TOLERANCE_PX, True)[:, 0] for contour in contours)
    # A pixel's centre is half a pixel from the corner that these coordinates count from.
    return [points + np.array([mask.x, mask.y]) + 0.5 for points in simple if len(points) > 2]
