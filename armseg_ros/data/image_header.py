# SPDX-License-Identifier: Apache-2.0
"""Read format and size from the first bytes of an encoded picture, before anything is decoded.

A small file can declare a picture of many gigabytes; the size has to be known before a decoder
allocates it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from armseg_ros.errors import DataError

_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {
    0xC4,
    0xC8,
    0xCC,
}  # start of frame, T.81 B.1
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
_JPEG_MOST_SEGMENTS = 4096  # before the first scan; 255 hold the largest colour profile
_JPEG_MOST_SCANS = 100  # a progressive picture has about 10; each costs a pass over all pixels
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_FORMATS = {3: "H", 4: "I"}  # SHORT and LONG, the types that the standard allows for a size


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a picture file says about itself.

    Attributes:
        format: ``jpeg``, ``png``, ``bmp`` or ``tiff``.
        height: Pixels.
        width: Pixels.
        ended: False where the file has no end marker, so it was cut short (JPEG and PNG only).
    """

    format: str
    height: int
    width: int
    ended: bool = True


def read_header(encoded: bytes) -> ImageHeader:
    """Read the header of a JPEG, PNG, BMP or TIFF picture.

    Raises:
        DataError: It is none of these, or ends inside its header.
    """
    try:
        if encoded[:2] == b"\xff\xd8":
            return _jpeg(encoded)
        if encoded[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(encoded)
        if encoded[:2] == b"BM":
            width, height = struct.unpack_from("<ii", encoded, 18)
            return ImageHeader("bmp", abs(height), width)  # a negative height means top-down rows
        if encoded[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(encoded)
    except (struct.error, IndexError) as error:
        raise DataError("ends inside its header") from error
    raise DataError("is not a JPEG, PNG, BMP or TIFF picture" if encoded else "is empty")


def _jpeg(encoded: bytes) -> ImageHeader:
    """Walk the segments to the start of frame, and on to the scan for the end marker."""
    position, size = 2, None
    for _ in range(_JPEG_MOST_SEGMENTS):
        if encoded[position] != 0xFF:
            raise DataError("has damaged JPEG segments")
        if encoded[position + 1] == 0xFF:  # a fill byte; any number may precede a marker
            position += 1
            continue
        position += 1
        marker = encoded[position]
        position += 1
        if marker in _JPEG_BARE_MARKERS:
            continue
        if marker == _JPEG_START_OF_SCAN:
            break
        (length,) = struct.unpack_from(">H", encoded, position)
        if marker in _JPEG_SIZE_MARKERS:
            size = struct.unpack_from(">HH", encoded, position + 3)
        position += length
    else:
        raise DataError(f"has more than {_JPEG_MOST_SEGMENTS} JPEG segments before its pixels")
    if size is None:
        raise DataError("is a JPEG without a frame header")
    scans = encoded.count(b"\xff\xda", position)
    if scans >= _JPEG_MOST_SCANS:
        raise DataError(f"is a JPEG of {scans + 1} scans, which would take forever to decode")
    return ImageHeader("jpeg", size[0], size[1], ended=encoded.find(_JPEG_END, position) >= 0)


def _png(encoded: bytes) -> ImageHeader:
    if encoded[12:16] != b"IHDR":
        raise DataError("is a PNG that does not begin with its size")
    width, height = struct.unpack_from(">II", encoded, 16)
    return ImageHeader("png", height, width, ended=encoded.rfind(b"IEND") >= 0)


def _tiff(encoded: bytes) -> ImageHeader:
    """Read width and height from the first image file directory (TIFF 6.0, section 2)."""
    order = "<" if encoded[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", encoded, 4)
    (count,) = struct.unpack_from(order + "H", encoded, directory)
    values: dict[int, int] = {}
    for index in range(count):
        entry = directory + 2 + 12 * index
        tag, kind = struct.unpack_from(order + "HH", encoded, entry)
        if tag not in (_TIFF_WIDTH, _TIFF_HEIGHT):
            continue
        if tag in values or kind not in _TIFF_FORMATS:  # decoders may read another size than we
            raise DataError("is a TIFF that gives its size twice or in an odd type")
        (values[tag],) = struct.unpack_from(order + _TIFF_FORMATS[kind], encoded, entry + 8)
    if _TIFF_WIDTH not in values or _TIFF_HEIGHT not in values:
        raise DataError("is a TIFF without a size")
    return ImageHeader("tiff", values[_TIFF_HEIGHT], values[_TIFF_WIDTH])
