# SPDX-License-Identifier: Apache-2.0
"""Crops of a picture around what went wrong, and outlines to lay over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from armseg_ros.errors import DataError
from armseg_ros.types import Mask, Uint8Array

MARGIN = 0.45  # of the longer side, around what is shown
LEAST_MARGIN_PX = 16
FLATTEST = 0.9  # shorter by longer side of a crop, where the picture has room
LONGEST_SIDE_PX = 480
QUALITY = 82
TOLERANCE_PX = 1.0  # of an outline, in pixels of the crop


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture and how it is scaled.

    Attributes:
        x: Left edge in source pixels.
        y: Top edge.
        width: In source pixels.
        height: In source pixels.
        scale: Pixels of the crop by source pixels.
    """

    x: int
    y: int
    width: int
    height: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the crop in its own pixels."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))


def window_around(masks: Sequence[Mask], hw: tuple[int, int]) -> Window:
    """Choose the part that shows all masks with some surroundings; no pixel gives everything."""
    height, width = hw
    shown = [mask for mask in masks if mask.crop.size]
    if not shown:
        return Window(0, 0, width, height, min(1.0, LONGEST_SIDE_PX / max(width, height)))
    left, top = min(m.x for m in shown), min(m.y for m in shown)
    right = max(m.x + m.crop.shape[1] for m in shown)
    bottom = max(m.y + m.crop.shape[0] for m in shown)
    margin = max(LEAST_MARGIN_PX, MARGIN * max(right - left, bottom - top) / 2)
    sides = [right - left + 2 * margin, bottom - top + 2 * margin]
    sides = [max(side, FLATTEST * max(sides)) for side in sides]
    x, w = _fit((left + right) / 2, sides[0], width)
    y, h = _fit((top + bottom) / 2, sides[1], height)
    return Window(x, y, w, h, LONGEST_SIDE_PX / max(w, h))


def _fit(centre: float, side: float, limit: int) -> tuple[int, int]:
    """Move an interval into 0..limit; cut it only where it is longer than that."""
    length = min(limit, round(side))
    return min(max(0, round(centre - length / 2)), limit - length), length


def write_crop(image: Uint8Array, window: Window, path: Path) -> None:
    """Write the part of a BGR picture as JPEG.

    Raises:
        DataError: The file cannot be written.
    """
    region = image[window.y : window.y + window.height, window.x : window.x + window.width]
    how = cv2.INTER_AREA if window.scale < 1 else cv2.INTER_CUBIC
    crop = cv2.resize(region, window.size, interpolation=how)
    if not cv2.imwrite(str(path), crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise DataError(f"{path} cannot be written; is the disk full?")


def outline(mask: Mask, window: Window, tolerance_px: float = TOLERANCE_PX) -> str:
    """Path data of a mask in pixels of the crop, holes included; empty where it lies outside."""
    crop = np.ascontiguousarray(mask.crop).view(np.uint8)
    if not crop.any():
        return ""
    contours, _ = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    size = np.array(window.size)
    # Half a pixel: contours go through the centres of pixels.
    offset = np.array([mask.x - window.x + 0.5, mask.y - window.y + 0.5])
    parts = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, max(1.0, tolerance_px / window.scale), closed=True)[:, 0]
        placed = (points + offset) * window.scale
        if len(placed) > 2 and (placed.max(axis=0) > 0).all() and (placed.min(axis=0) < size).all():
            parts.append("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in placed) + "Z")
    return "".join(parts)
