# SPDX-License-Identifier: Apache-2.0
"""The station's floor round the tote: dark metal with bolts, tape, paper, cables and edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import Grid, clouds
from armseg_ros.synthetic.palette import grey, hsv
from armseg_ros.synthetic.products import Paint

_HALF_CM = (80.0, 66.0)
_LEVEL_CM = -10.0
_MAX_DENSITY = 8.0


def station_floor(seed: int, density: float) -> tuple[npt.NDArray[np.float64], Paint]:
    """Return the corners (4, 3) in cm and the look of everything round the tote."""
    rng = np.random.default_rng(seed)
    grid = Grid(2 * _HALF_CM[0], 2 * _HALF_CM[1], min(density, _MAX_DENSITY))
    canvas = Canvas(grid, hsv(rng.uniform(100, 130), rng.uniform(0, 140), rng.uniform(8, 55)))
    canvas.shade(1 + 0.15 * clouds(rng, grid, 20, octaves=4))
    _plates(rng, canvas)
    _bolts(rng, canvas)
    _litter(rng, canvas)
    a, b = _HALF_CM
    z = _LEVEL_CM
    corners = np.array([[-a, -b, z], [a, -b, z], [a, b, z], [-a, b, z]])
    return corners, Paint(canvas.floats(), 0.05, 0.3)


def _ring(rng: np.random.Generator, canvas: Canvas) -> tuple[float, float]:
    """Return a point near the tote's edge, where the picture still sees the floor."""
    x, y = rng.uniform(0.2, 0.8) * canvas.width, rng.uniform(0.2, 0.8) * canvas.height
    if rng.random() < 0.5:
        return x, canvas.height * float(rng.choice([0.2, 0.8])) + rng.normal(0, 6)
    return canvas.width * float(rng.choice([0.2, 0.8])) + rng.normal(0, 6), y


def _plates(rng: np.random.Generator, canvas: Canvas) -> None:
    for _ in range(int(rng.integers(0, 10))):
        x, y = _ring(rng, canvas)
        size = rng.uniform(4, 60), rng.uniform(2, 40)
        color = hsv(rng.uniform(0, 180), rng.uniform(0, 120), rng.uniform(10, 95))
        canvas.rectangle(
            (x - size[0] / 2, y - size[1] / 2, *size),
            color,
            line_cm=0 if rng.random() < 0.5 else 0.4,
        )


def _bolts(rng: np.random.Generator, canvas: Canvas) -> None:
    metal = rng.uniform(60, 190)
    for _ in range(int(rng.integers(0, 16))):
        at, radius = _ring(rng, canvas), rng.uniform(0.5, 1.3)
        canvas.ellipse(at, (radius * 1.6, radius * 1.6), grey(metal * 0.3))
        canvas.ellipse(at, (radius, radius), grey(metal))
        canvas.ellipse(at, (radius * 0.45, radius * 0.45), grey(metal * 0.35))


def _litter(rng: np.random.Generator, canvas: Canvas) -> None:
    """Strips of tape, sheets of paper, a cable or a rail across the floor."""
    for _ in range(int(rng.integers(0, 5))):
        x, y = _ring(rng, canvas)
        kind = rng.random()
        if kind < 0.4:
            size = rng.uniform(6, 28), rng.uniform(2, 14)
            bend = rng.normal(0, 1.5)
            sheet = [
                (x, y),
                (x + size[0], y + bend),
                (x + size[0], y + bend + size[1]),
                (x, y + size[1]),
            ]
            canvas.polygon(sheet, grey(rng.uniform(100, 215), rng.uniform(-5, 8)))
        elif kind < 0.7:
            end = x + rng.normal(0, 25), y + rng.normal(0, 25)
            canvas.polyline(
                [(x, y), (x + 4, y + 6), end], grey(rng.uniform(15, 140)), rng.uniform(0.6, 2)
            )
        else:
            tape = hsv(float(rng.choice([28, 0, 108, 15])), 220, rng.uniform(80, 200))
            canvas.rectangle((x, y, rng.uniform(5, 50), rng.uniform(1.5, 5)), tape)
