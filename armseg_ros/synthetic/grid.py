# SPDX-License-Identifier: Apache-2.0
"""Flat sheets measured in centimetres, and smooth random fields on them.

Everything a tote contains is described in centimetres. A `Grid` turns a size in centimetres into
pixels at some density, and every random draw on it depends on the centimetres alone. So the same
seed paints the same thing at 6 and at 32 pixels per centimetre, and a picture shows the same scene
at every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

FloatMap: TypeAlias = npt.NDArray[np.float32]

# Pixels per centimetre of silhouettes and height maps. Fixed, because placing depends on them and
# the scene must not depend on the picture's size. 5 keeps a 3 mm cable visible in the heap.
SHAPE_DENSITY = 5.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A width x height rectangle in centimetres, sampled at `density` pixels per centimetre."""

    width_cm: float
    height_cm: float
    density: float

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns) in pixels, at least 4 each."""
        rows = max(4, round(self.height_cm * self.density))
        return rows, max(4, round(self.width_cm * self.density))

    def at(self, density: float) -> Grid:
        """Return the same rectangle at another density."""
        return Grid(self.width_cm, self.height_cm, density)

    def zeros(self) -> FloatMap:
        """Return a float32 map of zeros with this grid's shape."""
        return np.zeros(self.shape, np.float32)

    def coordinates_cm(self) -> tuple[FloatMap, FloatMap]:
        """Return the x (1, columns) and y (rows, 1) centre coordinates of the pixels in cm."""
        rows, columns = self.shape
        x = (np.arange(columns, dtype=np.float32) + 0.5) * np.float32(self.width_cm / columns)
        y = (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(self.height_cm / rows)
        return x[None, :], y[:, None]


def as_float(array: npt.NDArray[Any]) -> FloatMap:
    """Return `array` as float32 without a copy where it already is."""
    return np.asarray(array, np.float32)


def blur(field: npt.NDArray[Any], sigma_px: float) -> FloatMap:
    """Return `field` under a Gaussian of `sigma_px`; a sigma under 0.05 px changes nothing."""
    if sigma_px < 0.05:
        return as_float(field)
    return as_float(cv2.GaussianBlur(as_float(field), (0, 0), sigma_px))


def resize(field: npt.NDArray[Any], shape: tuple[int, int], smooth: bool = False) -> FloatMap:
    """Resize to (rows, columns), by cubic interpolation if `smooth`, by area where it shrinks."""
    if field.shape[:2] == shape:
        return as_float(field)
    shrinks = field.shape[0] > shape[0] and field.shape[1] > shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    return as_float(cv2.resize(as_float(field), (shape[1], shape[0]), interpolation=how))


def clouds(
    rng: np.random.Generator, grid: Grid, cell_cm: float, *, octaves: int = 4, gain: float = 0.5
) -> FloatMap:
    """Return fractal noise (rows, columns) of about unit variance, features `cell_cm` wide."""
    total = grid.zeros()
    amplitude = 1.0 / 1.4
    for _ in range(octaves):
        knots = (int(grid.height_cm / cell_cm) + 2, int(grid.width_cm / cell_cm) + 2)
        values = rng.standard_normal(knots, dtype=np.float32)
        if cell_cm * grid.density >= 1.0:  # finer than a pixel: drawn, so the stream goes on alike
            total += np.float32(amplitude) * resize(values, grid.shape, smooth=True)
        amplitude *= gain
        cell_cm = max(0.15, cell_cm / 2)
    return total


def creases(rng: np.random.Generator, grid: Grid, cell_cm: float, *, octaves: int = 3) -> FloatMap:
    """Return ridged noise >= 0 with sharp crests, as in crumpled film; crests lie near 1."""
    total = grid.zeros()
    amplitude = 1.0
    for _ in range(octaves):
        crest = (1 - np.abs(clouds(rng, grid, cell_cm, octaves=1)) * 1.6).clip(0, 1)
        total += np.float32(amplitude) * crest**3
        amplitude *= 0.55
        cell_cm = max(0.3, cell_cm * 0.55)
    return total


def slopes(height_cm: FloatMap, density: float, gain: float = 1.0) -> FloatMap:
    """Return the (rows, columns, 2) slopes dz/dx, dz/dy of a height map in cm, times `gain`."""
    scale = gain * density / 8  # a 3x3 Sobel sums to 8 pixel steps
    dx = cv2.Sobel(height_cm, cv2.CV_32F, 1, 0, scale=scale)
    dy = cv2.Sobel(height_cm, cv2.CV_32F, 0, 1, scale=scale)
    return as_float(np.dstack([dx, dy]))
