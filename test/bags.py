# SPDX-License-Identifier: Apache-2.0
"""Bags of any content, written message by message, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from armseg_ros.data.bag.definitions import writing_typestore
from armseg_ros.data.bag.messages import make_header, truth_to_message
from armseg_ros.types import Instances

STORE = writing_typestore()
Message = tuple[str, str, int, Any]  # topic, type, bag time, message or serialized bytes


def header(stamp_ns: int) -> Any:
    return make_header(STORE.types, stamp_ns, "camera")


def compressed(stamp_ns: int, pixels: np.ndarray | None = None, data: bytes | None = None) -> Any:
    """A CompressedImage of pixels as PNG, or of the given bytes."""
    if data is None:
        data = bytes(cv2.imencode(".png", np.zeros((6, 8, 3), np.uint8)
                                  if pixels is None else pixels)[1])  # fmt: skip
    return STORE.types["sensor_msgs/msg/CompressedImage"](
        header=header(stamp_ns), format="png", data=np.frombuffer(data, np.uint8)
    )


def raw(stamp_ns: int, pixels: np.ndarray, encoding: str = "bgr8", step: int | None = None) -> Any:
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    return STORE.types["sensor_msgs/msg/Image"](
        header=header(stamp_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1] if step is None else step,
        data=rows.ravel(),
    )


def truth(stamp_ns: int, instances: Instances, hw: tuple[int, int], sample_id: str = "") -> Any:
    return truth_to_message(STORE, instances, header(stamp_ns), hw, sample_id)


def write(path: Path, messages: Iterable[Message], storage: str = "mcap", empty: Any = ()) -> Path:
    """Write messages in the given order; ``empty`` are (topic, type) pairs without messages."""
    connections: dict[str, Any] = {}
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        for topic, message_type in empty:
            writer.add_connection(topic, message_type, typestore=STORE)
        for topic, message_type, time, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message_type, typestore=STORE)
            content = message
            if not isinstance(message, bytes):
                content = STORE.serialize_cdr(message, message_type)
            writer.write(connections[topic], time, content)
    return path
