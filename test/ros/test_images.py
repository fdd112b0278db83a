# SPDX-License-Identifier: Apache-2.0
"""Every encoding against rosbags-image, padded rows, byte order, and messages that lie."""

from __future__ import annotations

import array
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rosbags.image import message_to_cvimage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from armseg_ros.errors import DataError
from armseg_ros.ros.images import frame_from_message
from armseg_ros.ros.messages import time_message

HW = (6, 8)
CHANNELS = {
    "bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, "bayer_rggb8": 1, "bayer_bggr8": 1,
    "bayer_gbrg8": 1, "bayer_grbg8": 1,
}  # fmt: skip


def raw_image(
    pixels: np.ndarray, encoding: str, padding: int = 0, *, bigendian: bool = False
) -> Image:
    """Make a message of (H, W, bytes per pixel) uint8, each row followed by ``padding`` bytes."""
    rows = pixels.reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=200)
    return Image(
        header=Header(stamp=time_message(1_500_000_000_250_000_000), frame_id="camera"),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=bigendian,
        step=padded.shape[1],
        data=array.array("B", padded.tobytes()),
    )


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (*HW, channels), np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", CHANNELS)
def test_encodings_against_reference(encoding: str, padding: int) -> None:
    pixels = noise(CHANNELS[encoding])
    frame = frame_from_message(raw_image(pixels, encoding, padding), "/image")
    expected = message_to_cvimage(raw_image(pixels, encoding), "bgr8")  # it knows no padding
    np.testing.assert_array_equal(frame.image, expected)
    assert (frame.stamp_ns, frame.frame_id) == (1_500_000_000_250_000_000, "camera")
    assert frame.sample_id == ""


def test_colours_land_in_their_channels() -> None:
    pixel = np.array([[[10, 20, 30]]], np.uint8)
    for encoding, expected in (("bgr8", [10, 20, 30]), ("rgb8", [30, 20, 10])):
        frame = frame_from_message(raw_image(pixel, encoding), "/image")
        assert frame.image[0, 0].tolist() == expected


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("bigendian", [False, True])
def test_sixteen_bit_grey_keeps_the_high_byte(bigendian: bool, padding: int) -> None:
    values = np.array([[0x0000, 0x00FF, 0x0100, 0xABCD, 0xFFFF, 0x8000]], np.uint16)
    stored = values.astype(">u2" if bigendian else "<u2").view(np.uint8).reshape(1, 6, 2)
    message = raw_image(stored, "mono16", padding, bigendian=bigendian)
    image = frame_from_message(message, "/image").image
    assert image[0, :, 0].tolist() == [0x00, 0x00, 0x01, 0xAB, 0xFF, 0x80]
    assert (image == image[..., :1]).all()


def test_bgr8_is_not_copied() -> None:
    message = raw_image(noise(3), "bgr8")
    image = frame_from_message(message, "/image").image
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"encoding": "bayer_rggb12"}, "bayer_rggb12"),
        ({"height": 0}, "0x8"),
        ({"width": 0}, "6x0"),
        ({"step": 23}, "step"),
        ({"step": 25}, "bytes"),
        ({"data": array.array("B", bytes(10))}, "10 bytes"),
        ({"height": 2**31, "width": 2**31}, "million"),
    ],
)
def test_messages_that_lie_are_refused(changes: dict, complaint: str) -> None:
    message = raw_image(noise(3), "bgr8")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(DataError, match=complaint) as caught:
        frame_from_message(message, "/cam/image")
    assert "/cam/image" in str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compressed_against_opencv(suffix: str) -> None:
    encoded = cv2.imencode(suffix, noise(3))[1]
    message = CompressedImage(format=suffix[1:], data=array.array("B", encoded.tobytes()))
    frame = frame_from_message(message, "/image/compressed")
    np.testing.assert_array_equal(frame.image, cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def test_compressed_rubbish_and_bombs_are_refused() -> None:
    jpeg = cv2.imencode(".jpg", noise(3))[1].tobytes()
    png = bytearray(cv2.imencode(".png", noise(3))[1].tobytes())
    png[16:24] = (60000).to_bytes(4, "big") * 2  # a few hundred bytes that claim 10 GB
    for data in (b"", b"rubbish", jpeg[: len(jpeg) // 2], bytes(png)):
        message = CompressedImage(format="jpeg", data=array.array("B", data))
        with pytest.raises(DataError, match="/image/compressed"):
            frame_from_message(message, "/image/compressed")


def test_this_machine_writes_what_it_says() -> None:
    from armseg_ros.ros.messages import image_to_message

    labels = np.array([[0x0102, 0x0304]], np.uint16)
    message = image_to_message(labels, "mono16", Header())
    assert bool(message.is_bigendian) == (sys.byteorder == "big")
    assert frame_from_message(message, "/labels").image[0, :, 0].tolist() == [1, 3]
