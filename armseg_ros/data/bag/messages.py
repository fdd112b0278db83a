# SPDX-License-Identifier: Apache-2.0
"""Instances to and from the message objects of a rosbags type store."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from armseg_ros.data.images import MAX_PIXELS
from armseg_ros.errors import DataError
from armseg_ros.masks import decode_crop, encode_crop
from armseg_ros.types import CLASS_NAMES, Instances, Mask

NANOSECONDS = 10**9


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds since the epoch."""
    return int(header.stamp.sec) * NANOSECONDS + int(header.stamp.nanosec)


def make_header(types: dict[str, Any], stamp: int, frame_id: str) -> Any:
    """Make a ``std_msgs/Header``; ``stamp`` in nanoseconds since the epoch."""
    seconds, nanoseconds = divmod(stamp, NANOSECONDS)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def truth_to_message(
    store: Typestore, truth: Instances, header: Any, hw: tuple[int, int], sample_id: str
) -> Any:
    """Make an ``InstanceArray`` of ground truth: no scores, no model."""
    times = dict.fromkeys(_float_fields(store, "armseg_ros/msg/StageTimes"), float("nan"))
    return store.types["armseg_ros/msg/InstanceArray"](
        header=header,
        image_height=hw[0],
        image_width=hw[1],
        sample_id=sample_id,
        instances=[_instance(store, truth, index) for index in range(len(truth))],
        model_id="",
        backend="",
        times=store.types["armseg_ros/msg/StageTimes"](**times, dropped_since_last=0),
    )


def _float_fields(store: Typestore, name: str) -> list[str]:
    return [field for field, _ in store.fielddefs[name][1] if field != "dropped_since_last"]


def _instance(store: Typestore, truth: Instances, index: int) -> Any:
    box = truth.boxes[index]
    return store.types["armseg_ros/msg/Instance"](
        id=index + 1,
        class_id=int(truth.class_ids[index]),
        score=float("nan"),
        x_min=float(box[0]),
        y_min=float(box[1]),
        x_max=float(box[2]),
        y_max=float(box[3]),
        mask=_rle_mask(store, truth.masks[index]),
        p_over=float("nan"),
        p_under=float("nan"),
        is_crowd=bool(truth.crowd[index]),
    )


def _rle_mask(store: Typestore, mask: Mask) -> Any:
    height, width = mask.crop.shape
    return store.types["armseg_ros/msg/RleMask"](
        x_offset=mask.x,
        y_offset=mask.y,
        height=height,
        width=width,
        counts=np.frombuffer(encode_crop(mask), np.uint8),
        area=mask.area,
    )


def truth_from_message(message: Any, name: str) -> Instances:
    """Read an ``InstanceArray``.

    Args:
        message: Of any library; its masks must lie inside ``image_height`` x ``image_width``.
        name: Sample that an error names.

    Raises:
        DataError: A box is not finite, a class is unknown, or a mask does not decode.
    """
    hw = int(message.image_height), int(message.image_width)
    if not 0 < hw[0] * hw[1] <= MAX_PIXELS:
        raise DataError(f"ground truth of {name} declares a picture of {hw[0]}x{hw[1]} pixels")
    boxes, masks = [], []
    for index, instance in enumerate(message.instances):
        where = f"ground truth of {name}, instance {index}"
        box = tuple(
            float(v) for v in (instance.x_min, instance.y_min, instance.x_max, instance.y_max)
        )
        if not all(math.isfinite(v) for v in box):
            raise DataError(f"{where}: box {box} is not finite; mend or remove it")
        if instance.class_id >= len(CLASS_NAMES):
            raise DataError(f"{where}: class {instance.class_id}, known are {CLASS_NAMES}")
        boxes.append(box)
        masks.append(_mask(instance.mask, hw, where))
    return Instances(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array([i.class_id for i in message.instances], np.int32),
        masks=tuple(masks),
        crowd=np.array([i.is_crowd for i in message.instances], np.bool_),
    )


def _mask(message: Any, hw: tuple[int, int], where: str) -> Mask:
    x, y, height, width = (
        int(v) for v in (message.x_offset, message.y_offset, message.height, message.width)
    )
    if y + height > hw[0] or x + width > hw[1]:
        raise DataError(
            f"{where}: mask of {height}x{width} at ({x}, {y}) leaves the {hw[0]}x{hw[1]} picture"
        )
    try:
        return decode_crop(bytes(message.counts), (height, width), (x, y))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
