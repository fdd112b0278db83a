# SPDX-License-Identifier: Apache-2.0
"""What a product is to the rest of the renderer: a rigid box, or a sheet with a height.

A product knows nothing of where it will lie. It can be placed several times; every copy looks the
same. `paint` gets the picture's density (pixels per cm) and starts its own random stream from a
stored seed, so it draws alike whenever and however often it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from armseg_ros.synthetic.grid import SHAPE_DENSITY, FloatMap, Grid


@dataclass(frozen=True, slots=True)
class Paint:
    """The look of one surface; maps may differ in density, each spans the whole surface."""

    color: FloatMap  # (rows, columns, 3) BGR 0..255
    gloss: float | FloatMap = 0.04  # strength of mirror reflection, 0 matt .. 1 film
    roughness: float = 0.3  # blur of mirror reflection, 0.03 film .. 0.4 board
    cover: FloatMap | None = None  # where > 0.5 the surface exists; None: everywhere
    opacity: FloatMap | None = None  # 1 opaque .. 0 clear; None: opaque
    sparkle: FloatMap | None = None  # (rows, columns, 2) slopes that only mirror reflection sees


@dataclass(frozen=True, slots=True)
class BoxPaint:
    """The looks of a box: lid, long and short sides, and the spine (one long side)."""

    top: Paint
    long_side: Paint
    short_side: Paint
    spine: Paint


@dataclass(frozen=True, slots=True)
class BoxProduct:
    """A rigid box of length x width x height in cm, as it lies."""

    family: str
    size_cm: tuple[float, float, float]
    paint: Callable[[float], BoxPaint]


@dataclass(frozen=True, slots=True)
class SheetProduct:
    """Anything else: an outline with a height over every point of it."""

    family: str
    width_cm: float
    height_cm: float
    thickness_cm: float
    cover: FloatMap  # SHAPE_DENSITY px per cm; > 0.5 inside
    body: FloatMap  # same grid: height over the resting plane in cm
    drape: float  # 0 rigid .. 1 follows what lies below
    paint: Callable[[float], Paint]

    @property
    def grid(self) -> Grid:
        """Return the grid of `cover` and `body`."""
        return Grid(self.width_cm, self.height_cm, SHAPE_DENSITY)


Product = BoxProduct | SheetProduct


def new_seed(rng: np.random.Generator) -> int:
    """Draw a seed for a random stream of its own."""
    return int(rng.integers(2**62))
