# SPDX-License-Identifier: Apache-2.0
"""Decoding of picture files and raw camera images, and what is refused."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from armseg_ros.data.images import bgr_from_raw, decode_image, read_bytes
from armseg_ros.errors import DataError

PIXELS = np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8)


def png() -> bytes:
    return bytes(cv2.imencode(".png", PIXELS)[1])


def raw(encoding: str, pixels: np.ndarray, /, **changes: object) -> SimpleNamespace:
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    fields = {
        "encoding": encoding,
        "height": height,
        "width": width,
        "step": rows.shape[1],
        "is_bigendian": 0,
        "data": rows.tobytes(),
    }
    return SimpleNamespace(**(fields | changes))


def test_lossless_formats_come_back_exactly() -> None:
    for suffix in (".png", ".bmp", ".tif"):
        encoded = bytes(cv2.imencode(suffix, PIXELS)[1])
        np.testing.assert_array_equal(decode_image(encoded, "x"), PIXELS)


def test_grey_becomes_bgr() -> None:
    encoded = bytes(cv2.imencode(".png", PIXELS[..., 0])[1])
    np.testing.assert_array_equal(decode_image(encoded, "x"), np.dstack([PIXELS[..., 0]] * 3))


def test_orientation_tag_is_ignored() -> None:
    """Masks belong to the stored pixels, so the picture must not be turned."""
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0) + bytes(4)
    body = b"Exif\0\0" + tiff
    jpeg = bytes(cv2.imencode(".jpg", PIXELS)[1])
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (8, 6, 3)
    assert decode_image(turned, "x").shape == (6, 8, 3)


def test_a_bomb_is_refused_before_decoding() -> None:
    bomb = bytearray(png())
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    with pytest.raises(DataError, match=r"bomb.png declares 60000x60000 pixels, more than the 100"):
        decode_image(bytes(bomb), "bomb.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_cut_picture_is_named(suffix: str) -> None:
    encoded = bytes(cv2.imencode(suffix, PIXELS)[1])
    with pytest.raises(DataError, match=r"cell/1 is cut short"):
        decode_image(encoded[:-15], "cell/1")


def test_damage_inside_is_named() -> None:
    encoded = bytearray(png())
    encoded[50:60] = bytes(10)
    with pytest.raises(DataError, match=r"cell/1 does not decode as png"):
        decode_image(bytes(encoded), "cell/1")


def test_a_picture_of_no_pixels() -> None:
    empty = bytearray(png())
    empty[16:24] = struct.pack(">II", 0, 8)
    with pytest.raises(DataError, match="declares 8x0 pixels"):
        decode_image(bytes(empty), "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.jpg cannot be read: No such file"):
        read_bytes(tmp_path / "gone.jpg")


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("bgr8", PIXELS),
        ("8UC3", PIXELS),
        ("rgb8", PIXELS[..., ::-1]),
        ("bgra8", np.dstack([PIXELS, np.zeros((6, 8), np.uint8)])),
        ("rgba8", np.dstack([PIXELS[..., ::-1], np.zeros((6, 8), np.uint8)])),
    ],
)
def test_colour_orders(encoding: str, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(bgr_from_raw(raw(encoding, pixels), "x"), PIXELS)


def test_grey_encodings() -> None:
    grey = PIXELS[..., 1]
    expected = np.dstack([grey] * 3)
    wide = (grey.astype(np.uint16) << 8) | 77
    np.testing.assert_array_equal(bgr_from_raw(raw("mono8", grey), "x"), expected)
    np.testing.assert_array_equal(bgr_from_raw(raw("8UC1", grey), "x"), expected)
    assert sys.byteorder == "little"
    np.testing.assert_array_equal(bgr_from_raw(raw("mono16", wide), "x"), expected)
    big = raw("mono16", wide.byteswap(), is_bigendian=1)
    np.testing.assert_array_equal(bgr_from_raw(big, "x"), expected)


@pytest.mark.parametrize(
    ("encoding", "red_at"),
    [("bayer_rggb8", (0, 0)), ("bayer_bggr8", (1, 1)), ("bayer_gbrg8", (1, 0)),
     ("bayer_grbg8", (0, 1))],
)  # fmt: skip
def test_bayer_patterns(encoding: str, red_at: tuple[int, int]) -> None:
    """Only the red sites are lit, so the picture must come out red."""
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[red_at[0] :: 2, red_at[1] :: 2] = 200
    blue, green, red = bgr_from_raw(raw(encoding, mosaic), "x")[3:5, 3:5].reshape(-1, 3).mean(0)
    assert red > 100 > green + 90
    assert blue == 0


@pytest.mark.parametrize(
    ("encoding", "luma"), [("uyvy", 1), ("yuv422", 1), ("yuyv", 0), ("yuv422_yuy2", 0)]
)
def test_yuv_of_a_grey_picture(encoding: str, luma: int) -> None:
    samples = np.full((4, 6, 2), 128, np.uint8)
    samples[..., luma] = 126  # with neutral chroma is grey (126 - 16) * 1.164
    out = bgr_from_raw(raw(encoding, samples), "x")
    assert out.shape == (4, 6, 3)
    assert np.ptp(out) == 0
    assert out[0, 0, 0] == 128


def test_padded_rows() -> None:
    padded = np.zeros((6, 40), np.uint8)
    padded[:, :24] = PIXELS.reshape(6, 24)
    message = raw("bgr8", PIXELS, step=40, data=padded.tobytes())
    np.testing.assert_array_equal(bgr_from_raw(message, "x"), PIXELS)


def test_bgr8_is_not_copied() -> None:
    message = raw("bgr8", PIXELS)
    assert np.shares_memory(bgr_from_raw(message, "x"), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoding": "32FC1"}, r"/camera has encoding '32FC1'; supported are bgr8"),
        ({"step": 23}, r"/camera is 6x8 bgr8, which needs a step of at least 24 .* step of 23"),
        ({"height": 7}, r"/camera is 7x8 bgr8.*144 bytes"),
        ({"data": b""}, r"/camera is 6x8.* 0 bytes"),
        ({"height": 0}, r"/camera declares 0x8"),
        ({"height": 65535, "width": 65535}, r"more than the 100 million"),
    ],
)
def test_raw_images_that_contradict_themselves(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        bgr_from_raw(raw("bgr8", PIXELS, **changes), "/camera")
