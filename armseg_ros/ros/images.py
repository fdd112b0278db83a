# SPDX-License-Identifier: Apache-2.0
"""Image messages to frames; the pixels are converted by the code that reads bags."""

from __future__ import annotations

from typing import Any

from armseg_ros.data.images import bgr_from_raw, decode_image
from armseg_ros.types import Frame

NANOSECONDS = 1_000_000_000


def frame_from_message(message: Any, topic: str) -> Frame:
    """Convert a ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``.

    Args:
        message: Either kind; a ``bgr8`` image without padding is not copied, so the message must
            not change while the frame is in use.
        topic: Topic that an error names.

    Returns:
        The frame; ``sample_id`` is empty, as a camera gives none.

    Raises:
        DataError: The encoding is not supported, the data does not fit its size, or the picture
            does not decode.
    """
    header = message.header
    if hasattr(message, "format"):
        image = decode_image(bytes(message.data), topic)
    else:
        image = bgr_from_raw(message, topic)
    return Frame(image=image, stamp_ns=stamp_ns(header.stamp), frame_id=header.frame_id)


def stamp_ns(stamp: Any) -> int:
    """Return a ``builtin_interfaces/Time`` in nanoseconds since the epoch."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
