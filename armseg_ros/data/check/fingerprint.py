# SPDX-License-Identifier: Apache-2.0
"""Tell pictures that are the same, or nearly, by a hash of their bytes and one of their looks."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.data.images import check_encoded
from armseg_ros.data.source import Item
from armseg_ros.errors import DataError
from armseg_ros.types import Uint8Array

SIDE = 16
NEAR_BITS = 32
"""Of 256. Synthetic totes differ in 67 or more; one differs from its copy in at most 26 after JPEG
at quality 50, half size, 1.3 times the brightness or noise of 8 levels, in 31 when shifted by 4 of
560 pixels."""
_CHUNK = 2000
_REDUCED = 8  # what the JPEG decoder can divide a picture by while it decodes


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a picture is recognised by.

    Attributes:
        sha256: Of its bytes.
        bits: (256,) bool; bit (row, column) of a 16 x 16 grid says whether the next cell to the
            right is brighter (a difference hash), so exposure hardly matters.
    """

    sha256: bytes
    bits: npt.NDArray[np.bool_]


def fingerprint(item: Item, hw: tuple[int, int] | None) -> Fingerprint:
    """Read a picture.

    Args:
        item: The picture.
        hw: The size that its record declares; None where it declares none.

    Raises:
        DataError: It cannot be read, or is of another size.
    """
    content = item.content()
    if getattr(item, "encoded", True):
        grey, found = _decode(content, item.sample_id)
    else:
        image = item.frame().image
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        found = image.shape[0], image.shape[1]
    if hw is not None and found != hw:
        raise DataError(f"is {found[0]}x{found[1]} pixels, its record says {hw[0]}x{hw[1]}")
    return Fingerprint(hashlib.sha256(content).digest(), difference_hash(grey))


def difference_hash(grey: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Hash the looks of an (H, W) uint8 picture as (256,) bool."""
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray((small[:, 1:] > small[:, :-1]).ravel())


def _decode(content: bytes, name: str) -> tuple[Uint8Array, tuple[int, int]]:
    """Decode to grey, at an eighth of the size where that leaves enough; give the full size."""
    header = check_encoded(content, name)
    large = min(header.height, header.width) >= _REDUCED * 4 * SIDE
    flag = cv2.IMREAD_REDUCED_GRAYSCALE_8 if large else cv2.IMREAD_GRAYSCALE
    grey: Any = None
    with contextlib.suppress(cv2.error):
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    if grey is None:
        raise DataError(f"{name} does not decode; restore it or remove its record")
    return grey, (header.height, header.width)


def first_alike(
    prints: Sequence[Fingerprint], sources: Sequence[str]
) -> list[tuple[int, int, int]]:
    """Find for each picture the most similar earlier ones, where there are similar ones.

    That of its own source and that of the others are told apart, for a copy within a split must not
    hide that another split holds the picture too.

    Args:
        prints: Of N pictures.
        sources: Where each of them is from.

    Returns:
        (picture, earlier picture, differing bits); bits are -1 where the bytes are the same.
    """
    out = []
    names = list(dict.fromkeys(sources))
    source = np.array([names.index(name) for name in sources], np.intp)
    numbers: dict[bytes, int] = {}
    content = np.array([numbers.setdefault(one.sha256, len(numbers)) for one in prints], np.intp)
    signs = np.array([one.bits for one in prints], np.float32).reshape(-1, SIDE * SIDE) * 2 - 1
    for start in range(0, len(prints), _CHUNK):
        rows = signs[start : start + _CHUNK]
        differing = (SIDE * SIDE - rows @ signs[: start + len(rows)].T) / 2
        for place in range(len(rows)):
            index = start + place
            bits = np.where(content[:index] == content[index], -1, differing[place, :index])
            alike = np.flatnonzero(bits <= NEAR_BITS)
            own = source[alike] == source[index]
            for group in (alike[own], alike[~own]):
                if len(group):
                    best = int(group[bits[group].argmin()])
                    out.append((index, best, round(float(bits[best]))))
    return out
