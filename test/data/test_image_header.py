# SPDX-License-Identifier: Apache-2.0
"""Size and format from the first bytes, against what OpenCV writes and decodes."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.data.image_header import read_header
from armseg_ros.errors import DataError

FORMATS = {".jpg": "jpeg", ".png": "png", ".bmp": "bmp", ".tif": "tiff"}


def encode(suffix: str, hw: tuple[int, int] = (31, 57)) -> bytes:
    image = np.random.default_rng(0).integers(0, 255, (*hw, 3), np.uint8)
    return bytes(cv2.imencode(suffix, image)[1])


@pytest.mark.parametrize("suffix", FORMATS)
def test_format_and_size(suffix: str) -> None:
    header = read_header(encode(suffix))
    assert (header.format, header.height, header.width) == (FORMATS[suffix], 31, 57)
    assert header.ended


def test_progressive_jpeg() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    encoded = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    header = read_header(encoded)
    assert (header.height, header.width, header.ended) == (20, 30, True)


def test_a_thumbnail_before_the_picture_is_skipped() -> None:
    """The thumbnail in an application segment has a size and an end marker of its own."""
    encoded, thumbnail = encode(".jpg"), encode(".jpg", (8, 8))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    header = read_header(encoded[:2] + segment + encoded[2:-2])
    assert (header.height, header.width) == (31, 57)
    assert not header.ended


def test_big_endian_tiff() -> None:
    entries = struct.pack(">HHIHH", 256, 3, 1, 57, 0) + struct.pack(">HHII", 257, 4, 1, 31)
    header = read_header(b"MM\0*" + struct.pack(">IH", 8, 2) + entries)
    assert (header.height, header.width) == (31, 57)


def test_top_down_bmp() -> None:
    assert read_header(b"BM" + bytes(16) + struct.pack("<ii", 57, -31)).height == 31


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None)  # machines in use are slow at times
@given(share=st.floats(0, 1))
def test_a_cut_header_is_an_error_or_known_as_cut(suffix: str, share: float) -> None:
    encoded = encode(suffix)
    try:
        header = read_header(encoded[: int(share * (len(encoded) - 20))])
    except DataError:
        return
    assert (header.height, header.width) == (31, 57)
    assert not header.ended or suffix in (".bmp", ".tif")


@settings(deadline=None)  # machines in use are slow at times
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"II*\0", b"MM\0*", b"BM"]))
def test_noise_is_an_error_or_a_header(noise: bytes, magic: bytes) -> None:
    try:
        header = read_header(magic + noise)
    except DataError:
        return
    assert header.format in FORMATS.values()


@pytest.mark.parametrize(
    ("encoded", "sentence"),
    [(b"", "is empty"), (b"GIF89a" + bytes(20), "is not a JPEG"), (b"\xff\xd8\0\0", "damaged")],
)
def test_what_it_is_not(encoded: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_header(encoded)
