# SPDX-License-Identifier: Apache-2.0
"""Picture files that lie about their size, cost hours to decode, or are no files at all."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import check_sentence

from armseg_ros.data.image_header import read_header
from armseg_ros.data.images import MAX_FILE_BYTES, decode_image, read_bytes
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError

PIXELS = np.random.default_rng(3).integers(0, 255, (16, 24, 3), np.uint8)
ENCODED = {
    suffix: bytes(cv2.imencode(suffix, PIXELS)[1]) for suffix in (".jpg", ".png", ".bmp", ".tif")
}


def refuse(encoded: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        decode_image(encoded, "/camera")
    assert len(str(caught.value).splitlines()) == 1


@given(st.sampled_from(sorted(ENCODED)), st.data())
@settings(max_examples=800, derandomize=True)
def test_damaged_pictures_decode_or_are_one_sentence(suffix: str, data: st.DataObject) -> None:
    encoded = bytearray(ENCODED[suffix])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, min(400, len(encoded) - 1)))
        encoded[place] = data.draw(st.integers(0, 255))
    encoded = encoded[: data.draw(st.integers(1, len(encoded)) | st.just(len(encoded)))]
    try:
        image = decode_image(bytes(encoded), "/camera")
    except DataError as error:
        check_sentence(error, "/camera ")
    else:
        header = read_header(bytes(encoded))
        assert image.shape == (header.height, header.width, 3)


@pytest.mark.parametrize(
    "flood",
    [b"\xff" * 10**6, b"\xff\xd0" * 10**6, b"\xff\xe0\0\2" * 10**6, b"\xff\xc4\0\2" * 10**6],
)
def test_a_flood_of_jpeg_segments_is_not_walked(flood: bytes) -> None:
    refuse(b"\xff\xd8" + flood, "more than 4096 JPEG segments")


def test_a_jpeg_of_a_thousand_scans_is_not_decoded() -> None:
    """Each scan is a dozen bytes and a pass over all pixels: 15 MB of them take days."""
    progressive = bytes(cv2.imencode(".jpg", PIXELS, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    assert decode_image(progressive, "x").shape == PIXELS.shape
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    refuse(progressive[:-2] + 1000 * last + progressive[-2:], "is a JPEG of 10.. scans")


def tiff(*entries: tuple[int, int, int], data: bytes = b"") -> bytes:
    """Make a TIFF of (tag, type, value) entries."""
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return (head + body + bytes(4)).ljust(200, b"\0") + data


def test_a_tiff_that_says_its_size_twice() -> None:
    refuse(tiff((256, 4, 30000), (256, 4, 8), (257, 4, 8)), "size twice or in an odd type")


def test_a_tiff_whose_size_lies_elsewhere() -> None:
    """LONG8: the decoder follows the offset and finds 30000, where the entry itself says 200."""
    entries = (256, 16, 200), (257, 16, 208)
    refuse(tiff(*entries, data=struct.pack("<QQ", 30000, 30000)), "size twice or in an odd type")


@pytest.mark.parametrize(("tag", "value"), [(322, 32000), (277, 60000), (258, 9999), (278, 0)])
def test_tiffs_whose_insides_are_absurd(tag: int, value: int) -> None:
    usual = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    if tag == 322:
        usual |= {323: value, 324: 8, 325: 64}
    entries = sorted((usual | {tag: value}).items())
    try:
        assert decode_image(tiff(*((t, 4, v) for t, v in entries)), "/camera").shape == (8, 8, 3)
    except DataError as error:
        check_sentence(error, "/camera ")


def test_a_png_that_hides_its_size() -> None:
    text = b"\0\0\0\x08tEXt" + struct.pack(">II", 8, 8) + bytes(4)
    refuse(ENCODED[".png"][:8] + text + ENCODED[".png"][8:], "does not begin with its size")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("hw", [(65535, 65535), (0, 24), (16, 0), (65535, 1)])
def test_declared_sizes(suffix: str, hw: tuple[int, int]) -> None:
    """None of these is allocated as declared: too large, nothing at all, or not what is inside."""
    encoded = bytearray(ENCODED[suffix])
    if suffix == ".png":
        encoded[16:24] = struct.pack(">II", hw[1], hw[0])
    elif suffix == ".jpg":
        place = encoded.index(b"\xff\xc0") + 5
        encoded[place : place + 4] = struct.pack(">HH", *hw)
    elif suffix == ".bmp":
        encoded[18:26] = struct.pack("<ii", hw[1], hw[0])
    else:
        encoded = bytearray(tiff((256, 4, hw[1]), (257, 4, hw[0])))
    refuse(bytes(encoded), "declares|does not decode|cut short")


def test_opencv_stays_silent_about_broken_pictures(capfd: pytest.CaptureFixture[str]) -> None:
    """A camera that sends nonsense at 30 Hz would fill the disk with its lines."""
    broken = ENCODED[".tif"].replace(PIXELS.tobytes()[:40], bytes(40), 1)[:-300]
    with pytest.raises(DataError):
        decode_image(tiff((256, 4, 8), (257, 4, 8), (258, 4, 77), (259, 4, 34712)), "x")
    with pytest.raises(DataError):
        decode_image(broken, "x")
    assert "grfmt" not in capfd.readouterr().err


def test_pipes_devices_and_giants_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    for name in ("pipe", "device", "folder"):
        with pytest.raises(DataError, match=f"{name}.png cannot be read: it is no plain file"):
            read_bytes(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"sparse.png has 1073741825 bytes, more than the 1024 MiB"):
        read_bytes(tmp_path / "sparse.png")


def test_pictures_that_are_links_to_text_are_not_shown(tmp_path: Path) -> None:
    """A picture may be a link to anything; only pictures come out of it."""
    (tmp_path / "secret").write_text("password")
    (tmp_path / "a.png").symlink_to(tmp_path / "secret")
    [item] = open_source(tmp_path)
    with pytest.raises(DataError, match=r"a.png is not a JPEG, PNG, BMP or TIFF picture") as caught:
        item.frame()
    assert "password" not in str(caught.value)
