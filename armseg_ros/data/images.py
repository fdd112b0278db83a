# SPDX-License-Identifier: Apache-2.0
"""Encoded pictures and raw camera images to BGR pixels, with every claim checked beforehand."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from armseg_ros.data.image_header import ImageHeader, read_header
from armseg_ros.errors import DataError, one_line, shown
from armseg_ros.types import Uint8Array

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 100_000_000  # 20 times a 2448x2048 picture; 300 MB of BGR
MAX_FILE_BYTES = 1 << 30  # more than MAX_PIXELS take in any format

# Encoding: bytes per sample, samples per pixel, OpenCV conversion to BGR (None: it is BGR).
# ROS names a Bayer pattern by its first row, OpenCV by the second row's second and third pixel.
_ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    "bgr8": (1, 3, None),
    "8UC3": (1, 3, None),
    "rgb8": (1, 3, cv2.COLOR_RGB2BGR),
    "bgra8": (1, 4, cv2.COLOR_BGRA2BGR),
    "rgba8": (1, 4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, 1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, 1, cv2.COLOR_GRAY2BGR),
    "mono16": (2, 1, cv2.COLOR_GRAY2BGR),
    "bayer_rggb8": (1, 1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, 1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, 1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, 1, cv2.COLOR_BayerGB2BGR),
    "yuv422": (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (1, 2, cv2.COLOR_YUV2BGR_YUYV),
    "yuyv": (1, 2, cv2.COLOR_YUV2BGR_YUYV),
}


def check_encoded(encoded: bytes, name: str) -> ImageHeader:
    """Read a picture's header and refuse what must not reach a decoder.

    Args:
        encoded: A JPEG, PNG, BMP or TIFF file.
        name: File, topic or sample that the message names.

    Raises:
        DataError: Unknown format, cut short, or larger than ``MAX_PIXELS``.
    """
    try:
        header = read_header(encoded)
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    if not header.ended:
        raise DataError(f"{name} is cut short: its {header.format} data has no end")
    _check_pixels(header.height, header.width, name)
    return header


def decode_image(encoded: bytes, name: str) -> Uint8Array:
    """Decode a picture file that is already in memory.

    An orientation tag is ignored, as annotation tools do: masks belong to the stored pixels.

    Args:
        encoded: A JPEG, PNG, BMP or TIFF file.
        name: File, topic or sample that the message names.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        DataError: It is damaged, of another format, or larger than ``MAX_PIXELS``.
    """
    header = check_encoded(encoded, name)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    # OpenCV would fill the disk with what the error says anyway, image by image.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error as error:
        raise DataError(f"{name} does not decode as {header.format}: {one_line(error)}") from error
    if image is None:
        raise DataError(f"{name} does not decode as {header.format}; replace the picture")
    if image.shape[:2] != (header.height, header.width):
        raise DataError(
            f"{name} declares {header.height}x{header.width} pixels, "
            f"but decodes to {image.shape[0]}x{image.shape[1]}"
        )
    return np.asarray(image, np.uint8)


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        DataError: It is missing, not readable, no plain file (a pipe would be waited for, a device
            never ends) or larger than ``MAX_FILE_BYTES``.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} cannot be read: it is no plain file")
        if status.st_size > MAX_FILE_BYTES:
            raise DataError(
                f"{path} has {status.st_size} bytes, more than the {MAX_FILE_BYTES >> 20} MiB "
                "that a picture may have"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def bgr_from_raw(message: Any, name: str) -> Uint8Array:
    """Convert the fields of a ``sensor_msgs/Image``, of whatever library made it.

    Args:
        message: Has ``encoding``, ``height``, ``width``, ``step``, ``is_bigendian`` and ``data``.
        name: Topic or sample that the message names.

    Returns:
        (H, W, 3) uint8 BGR; a view of ``message.data`` where it already is that.

    Raises:
        DataError: The encoding is not supported, or ``data`` does not fit size and step.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    if message.encoding not in _ENCODINGS:
        known = ", ".join(_ENCODINGS)
        raise DataError(f"{name} has encoding {shown(message.encoding)}; supported are {known}")
    sample_bytes, channels, conversion = _ENCODINGS[message.encoding]
    _check_pixels(height, width, name)
    row = width * channels * sample_bytes
    data = np.frombuffer(message.data, np.uint8)
    if step < row or data.size != step * height:
        raise DataError(
            f"{name} is {height}x{width} {message.encoding}, which needs a step of at least {row} "
            f"and height x step bytes, but has a step of {step} and {data.size} bytes"
        )
    if channels == 2 and width % 2:
        raise DataError(f"{name} is {width} pixels wide, but {message.encoding} needs pairs")
    rows = data.reshape(height, step)[:, :row]
    if sample_bytes == 2:  # the high byte of each sample is its 8-bit value
        rows = rows[:, 0 if message.is_bigendian else 1 :: 2]
    pixels = rows.reshape(height, width, channels)
    if conversion is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)
    except cv2.error as error:
        raise DataError(
            f"{name}: {message.encoding} of {height}x{width} fails: {one_line(error)}"
        ) from error


def _check_pixels(height: int, width: int, name: str) -> None:
    if height < 1 or width < 1:
        raise DataError(f"{name} declares {height}x{width} pixels")
    if height * width > MAX_PIXELS:
        raise DataError(
            f"{name} declares {height}x{width} pixels, more than the {MAX_PIXELS // 10**6} million "
            "that are accepted; scale it down"
        )
