# SPDX-License-Identifier: Apache-2.0
"""A painted sheet in centimetres: shapes, fields of light and dark, pasted pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.grid import FloatMap, Grid

Color: TypeAlias = tuple[float, float, float]  # B, G, R, each 0..255
Box: TypeAlias = tuple[float, float, float, float]  # x, y, width, height in cm
Point: TypeAlias = tuple[float, float]  # x, y in cm from the sheet's upper left corner

_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


class Canvas:
    """A sheet of `width_cm` x `height_cm` painted in BGR, 8 bits, `density` pixels per cm.

    Coordinates and lengths of all methods are centimetres; what falls outside the sheet is cut off.
    """

    def __init__(self, grid: Grid, color: Color = (255.0, 255.0, 255.0)) -> None:
        self.grid = grid
        self.pixels: npt.NDArray[np.uint8] = np.empty((*grid.shape, 3), np.uint8)
        self.pixels[:] = np.clip(color, 0, 255)

    @property
    def width(self) -> float:
        """Return the width in cm."""
        return self.grid.width_cm

    @property
    def height(self) -> float:
        """Return the height in cm."""
        return self.grid.height_cm

    def rectangle(self, box: Box, color: Color, line_cm: float = 0) -> None:
        """Paint a rectangle, filled or as an outline of ``line_cm``."""
        x, y, w, h = box
        self.polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], color, line_cm)

    def polygon(self, points: Sequence[Point], color: Color, line_cm: float = 0) -> None:
        """Paint a closed polygon, filled or as an outline of `line_cm`."""
        fixed = [self._fixed(points)]
        tone = _clip(color)
        if line_cm > 0:
            width = self._pixels_wide(line_cm)
            cv2.polylines(self.pixels, fixed, True, tone, width, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(self.pixels, fixed, tone, cv2.LINE_AA, _SHIFT)

    def polyline(self, points: Sequence[Point], color: Color, line_cm: float) -> None:
        """Paint an open line through `points`."""
        width = self._pixels_wide(line_cm)
        fixed = [self._fixed(points)]
        cv2.polylines(self.pixels, fixed, False, _clip(color), width, cv2.LINE_AA, _SHIFT)

    def ellipse(
        self, center: Point, radii: Point, color: Color, *, angle_deg: float = 0, line_cm: float = 0
    ) -> None:
        """Paint an ellipse with half axes `radii`, filled or as an outline."""
        c = self._fixed([center])[0]
        r = np.maximum(1, np.round(np.array(radii) * self.grid.density * 2**_SHIFT)).astype(int)
        width = self._pixels_wide(line_cm) if line_cm > 0 else -1
        at, axes = (int(c[0]), int(c[1])), (int(r[0]), int(r[1]))
        cv2.ellipse(
            self.pixels, at, axes, angle_deg, 0, 360, _clip(color), width, cv2.LINE_AA, _SHIFT
        )

    def paste(self, piece: npt.NDArray[np.uint8], x: float, y: float) -> None:
        """Copy `piece` (rows, columns, 3) with its corner at (x, y), both kept inside at >= 0."""
        left, top = self._pixel(x), self._pixel(y)
        target = self.pixels[top : top + piece.shape[0], left : left + piece.shape[1]]
        target[:] = piece[: target.shape[0], : target.shape[1]]

    def blend(self, color: Color, alpha: FloatMap, x: float = 0, y: float = 0) -> None:
        """Lay `color` over the sheet where `alpha` (rows, columns) 0..1 says, from (x, y) on."""
        left, top = self._pixel(x), self._pixel(y)
        target = self.pixels[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        weight = alpha[: target.shape[0], : target.shape[1], None]
        tone = np.asarray(_clip(color), np.float32)
        target[:] = (target * (1 - weight) + tone * weight).astype(np.uint8)

    def shade(self, gain: FloatMap | float, x: float = 0, y: float = 0) -> None:
        """Multiply the colours by `gain`, a number or a map (rows, columns) from (x, y) on."""
        if isinstance(gain, float):
            np.copyto(self.pixels, np.clip(self.pixels * gain, 0, 255).astype(np.uint8))
            return
        left, top = self._pixel(x), self._pixel(y)
        target = self.pixels[top : top + gain.shape[0], left : left + gain.shape[1]]
        lit = target * gain[: target.shape[0], : target.shape[1], None]
        target[:] = np.clip(lit, 0, 255).astype(np.uint8)

    def turned(self) -> Canvas:
        """Return a copy turned a quarter anticlockwise."""
        turned = Canvas(Grid(self.height, self.width, self.grid.density))
        turned.pixels = np.ascontiguousarray(np.rot90(self.pixels))
        return turned

    def floats(self) -> FloatMap:
        """Return the picture as float32 (rows, columns, 3) in 0..255."""
        return self.pixels.astype(np.float32)

    def _pixel(self, cm: float) -> int:
        return max(0, round(cm * self.grid.density))

    def _pixels_wide(self, line_cm: float) -> int:
        return max(1, round(line_cm * self.grid.density))

    def _fixed(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        scaled = (np.asarray(points, np.float64) * self.grid.density - 0.5) * 2**_SHIFT
        return np.asarray(np.round(scaled), np.int32)


def _clip(color: Color) -> Color:
    blue, green, red = (float(min(255.0, max(0.0, channel))) for channel in color)
    return blue, green, red


# One layer of print: paints on a sheet with a palette of five colours.
Layer: TypeAlias = Callable[[np.random.Generator, Canvas, list[Color]], None]
