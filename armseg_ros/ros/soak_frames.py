# SPDX-License-Identifier: Apache-2.0
"""Images for a soak: healthy ones of many sizes and encodings, and broken ones of every kind."""

from __future__ import annotations

import array
import random
import time
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from armseg_ros.ros.messages import time_message
from armseg_ros.types import Uint8Array

SIZES = ((268, 320), (240, 320), (480, 640), (97, 131), (1, 1), (2, 4096))  # height, width
CHANNELS = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "mono8": 1, "bayer_rggb8": 1, "uyvy": 2}
NO_STAMP, FUTURE_S = 0, 3600

BROKEN = (
    "unknown encoding",
    "no pixels",
    "too few bytes",
    "too many bytes",
    "step too small",
    "gigapixels",
    "empty",
)


def make_pictures(seed: int) -> list[Uint8Array]:
    """Make one picture of noise for each size; (H, W, 4) uint8."""
    numbers = np.random.default_rng(seed)
    return [numbers.integers(0, 256, (*hw, 4), np.uint8) for hw in SIZES]


def healthy(chooser: random.Random, pictures: list[Uint8Array], name: str) -> Image:
    """Make an image that deserves an answer.

    Its stamp is none or lies in the future, so that it is never too old.

    Args:
        chooser: Where the choices come from.
        pictures: See ``make_pictures``.
        name: Becomes the ``frame_id``, by which the answer is known.
    """
    picture = chooser.choice(pictures)
    encoding = chooser.choice(list(CHANNELS))
    height, width = picture.shape[:2]
    if encoding == "uyvy" and width % 2:
        encoding = "bgr8"
    pixels = np.ascontiguousarray(picture[..., : CHANNELS[encoding]])
    stamp = chooser.choice((NO_STAMP, time.time_ns() + FUTURE_S * 10**9))
    return Image(
        header=Header(stamp=time_message(stamp), frame_id=name),
        height=height,
        width=width,
        encoding=encoding,
        step=width * CHANNELS[encoding],
        data=array.array("B", pixels.tobytes()),
    )


def broken(chooser: random.Random, pictures: list[Uint8Array], name: str) -> Image:
    """Make an image that no decoder may accept; arguments as of ``healthy``."""
    message: Any = healthy(chooser, pictures, name)
    fault = chooser.choice(BROKEN)
    if fault == "unknown encoding":
        message.encoding = chooser.choice(("32FC1", "", "bgr8\n", "x" * 2000))
    elif fault == "no pixels":
        message.height = 0
    elif fault == "too few bytes":
        message.data = message.data[:-1]
    elif fault == "too many bytes":
        message.data = message.data + array.array("B", bytes(7))
    elif fault == "step too small":
        message.step -= 1
    elif fault == "gigapixels":
        message.height = message.width = 65535
    else:
        message.data = array.array("B")
    return message
