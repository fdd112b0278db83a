# SPDX-License-Identifier: Apache-2.0
"""Values to messages and back.

Array fields are set from ``array.array``: rclpy checks each element of anything else, which costs
seconds for an image.
"""

from __future__ import annotations

import array
import math
import sys
from dataclasses import fields
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from armseg_ros.data.images import MAX_PIXELS
from armseg_ros.errors import DataError
from armseg_ros.masks import decode_crop, encode_crop
from armseg_ros.msg import Instance, InstanceArray, RleMask
from armseg_ros.msg import StageTimes as StageTimesMessage
from armseg_ros.ros.images import NANOSECONDS
from armseg_ros.types import Detections, Instances, Mask, StageTimes

NAN = float("nan")


def instance_array(
    instances: Instances, header: Any = None, hw: tuple[int, int] = (0, 0)
) -> InstanceArray:
    """Make an ``InstanceArray``.

    Args:
        instances: Detections, or ground truth, whose scores become NaN.
        header: Header of the image; None leaves it to the caller.
        hw: Height and width of the image in pixels.

    Returns:
        The message; ``sample_id``, ``model_id``, ``backend`` and ``times`` are left to the caller.
    """
    return InstanceArray(
        header=header or Header(),
        image_height=hw[0],
        image_width=hw[1],
        instances=[_instance(instances, index) for index in range(len(instances))],
    )


def _instance(instances: Instances, index: int) -> Instance:
    x_min, y_min, x_max, y_max = (float(v) for v in instances.boxes[index])
    scores = instances.scores if isinstance(instances, Detections) else None
    return Instance(
        id=index + 1,
        class_id=int(instances.class_ids[index]),
        score=NAN if scores is None else float(scores[index]),
        x_min=x_min,
        y_min=y_min,
        x_max=x_max,
        y_max=y_max,
        mask=_rle_mask(instances.masks[index]),
        p_over=NAN,
        p_under=NAN,
        is_crowd=bool(instances.crowd[index]),
    )


def _rle_mask(mask: Mask) -> RleMask:
    height, width = mask.crop.shape
    return RleMask(
        x_offset=mask.x,
        y_offset=mask.y,
        height=height,
        width=width,
        counts=array.array("B", encode_crop(mask)),
        area=mask.area,
    )


def detections_from_message(message: Any) -> Detections:
    """Read an ``InstanceArray`` of a segmenter.

    Raises:
        DataError: A mask leaves the image or does not decode, a box is not finite, or the image is
            larger than any that a segmenter takes.
    """
    hw = int(message.image_height), int(message.image_width)
    if hw[0] * hw[1] > MAX_PIXELS:
        raise DataError(f"the answer is about an image of {hw[0]}x{hw[1]} pixels")
    instances = message.instances
    boxes = [(i.x_min, i.y_min, i.x_max, i.y_max) for i in instances]
    for instance, box in zip(instances, boxes, strict=True):
        if not all(map(math.isfinite, box)):
            raise DataError(f"instance {instance.id}: box {box} is not finite")
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array([i.class_id for i in instances], np.int32),
        masks=tuple(_mask(i.mask, hw, f"instance {i.id}") for i in instances),
        crowd=np.array([i.is_crowd for i in instances], np.bool_),
        scores=np.array([i.score for i in instances], np.float32),
    )


def _mask(message: Any, hw: tuple[int, int], where: str) -> Mask:
    x, y, height, width = message.x_offset, message.y_offset, message.height, message.width
    if y + height > hw[0] or x + width > hw[1]:
        raise DataError(
            f"{where}: mask of {height}x{width} at ({x}, {y}) leaves the {hw[0]}x{hw[1]} image"
        )
    try:
        return decode_crop(bytes(message.counts), (height, width), (x, y))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def times_to_message(
    times: StageTimes, *, age_at_receive: float = NAN, dropped_since_last: int = 0
) -> StageTimesMessage:
    """Make a ``StageTimes`` message; all times in milliseconds."""
    stages = {field.name: float(getattr(times, field.name)) for field in fields(times)}
    return StageTimesMessage(
        **stages, age_at_receive=age_at_receive, dropped_since_last=dropped_since_last
    )


def times_from_message(message: Any) -> StageTimes:
    """Read a ``StageTimes`` message, all but what concerns its way to the node."""
    return StageTimes(**{field.name: getattr(message, field.name) for field in fields(StageTimes)})


def image_to_message(image: np.ndarray[Any, Any], encoding: str, header: Any) -> Image:
    """Make a ``sensor_msgs/Image``.

    Args:
        image: (H, W) or (H, W, C) of the encoding's type, in this machine's byte order.
        encoding: Such as ``bgr8``, ``mono8``, ``mono16``.
        header: Header to copy.
    """
    pixels = np.ascontiguousarray(image)
    data = array.array("B")
    data.frombytes(pixels.data.cast("B"))
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big" and pixels.itemsize > 1),
        step=pixels.nbytes // pixels.shape[0],
        data=data,
    )


def labels_to_message(labels: np.ndarray[Any, Any], count: int, header: Any) -> Image:
    """Make the label image: mono8, or mono16 where 254 values are not enough.

    Args:
        labels: (H, W) uint16, 0 background.
        count: Number of instances, the highest label.
        header: Header to copy.
    """
    if count > 254:
        return image_to_message(labels, "mono16", header)
    return image_to_message(labels.astype(np.uint8), "mono8", header)


def encoded_to_message(encoded: bytes, image_format: str, header: Any) -> CompressedImage:
    """Make a ``sensor_msgs/CompressedImage`` of a picture file, such as ``jpeg`` or ``png``."""
    return CompressedImage(header=header, format=image_format, data=array.array("B", encoded))


def time_message(nanoseconds: int) -> Time:
    """Make a ``builtin_interfaces/Time``."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)
