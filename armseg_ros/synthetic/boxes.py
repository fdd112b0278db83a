# SPDX-License-Identifier: Apache-2.0
"""Rigid boxes: cartons, white and printed boxes, books, cards, tins with another lid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from armseg_ros.synthetic import art, surfaces
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import FloatMap, Grid, blur
from armseg_ros.synthetic.palette import palette
from armseg_ros.synthetic.products import BoxPaint, BoxProduct, Paint, new_seed
from armseg_ros.synthetic.shapes import wrinkles

FAMILIES = ("carton", "white_box", "print_box", "book", "card", "tin")
_GLOSS = {
    "carton": 0.03,
    "white_box": 0.08,
    "print_box": 0.25,
    "book": 0.25,
    "card": 0.12,
    "tin": 0.5,
}


def make_box(rng: np.random.Generator, family: str) -> BoxProduct:
    """Return a box of one of `FAMILIES`; 3 in 10 are shrink-wrapped."""
    size = _size(rng, family)
    wrapped = family not in ("card", "tin") and rng.random() < 0.3
    style = _Style(family, size, new_seed(rng), bool(rng.random() < 0.5), bool(wrapped))
    return BoxProduct(family, size, partial(_paint, style))


@dataclass(frozen=True, slots=True)
class _Style:
    family: str
    size_cm: tuple[float, float, float]
    seed: int
    across: bool  # the print runs along the short edge
    wrapped: bool  # film is shrunk on


def _size(rng: np.random.Generator, family: str) -> tuple[float, float, float]:
    if family == "book":
        return _lying(rng.uniform(16, 33), rng.uniform(11, 24), rng.uniform(0.6, 4))
    if family == "card":
        return _lying(rng.uniform(11, 20), rng.uniform(9, 15), rng.uniform(0.15, 0.7))
    edges = np.sort(np.exp(rng.uniform(np.log(3.5), np.log(30), 3)))[::-1]
    length, width, height = (
        float(edges[0]),
        max(float(edges[1]), float(edges[0]) * 0.18),
        float(edges[2]),
    )
    if rng.random() < 0.25:  # on its side
        width, height = height, width
    return max(5.0, length), max(2.5, width), min(16.0, height)


def _lying(first: float, second: float, height: float) -> tuple[float, float, float]:
    return max(first, second), min(first, second), height


def _paint(style: _Style, density: float) -> BoxPaint:
    rng = np.random.default_rng(style.seed)
    length, width, height = style.size_cm
    top = _face(rng, style, Grid(length, width, density))
    gloss = _GLOSS[style.family] * rng.uniform(0.3, 2)
    roughness = rng.uniform(0.08, 0.35)
    edge = rng.uniform(-28, 14)
    long_side = _side(rng, style, Grid(length, height, density))
    short_side = _side(rng, style, Grid(width, height, density))
    spine = long_side
    if style.family == "book":
        spine = (
            art.front(rng, Grid(length, height, density))
            if height > 1
            else _plain_side(top, long_side)
        )
    sparkle = None
    if style.wrapped:
        sparkle = wrinkles(rng, Grid(length, width, density), rng.uniform(0.25, 0.7))
        gloss, roughness = rng.uniform(0.3, 0.9), 0.06
    side_gloss = gloss * 0.6
    return BoxPaint(
        Paint(_worn_edges(top, edge), gloss, roughness, sparkle=sparkle),
        Paint(long_side.floats(), side_gloss, roughness),
        Paint(short_side.floats(), side_gloss, roughness),
        Paint(spine.floats(), side_gloss, roughness),
    )


def _face(rng: np.random.Generator, style: _Style, grid: Grid) -> Canvas:
    """Return the lid, printed along or across it."""
    if not style.across:
        return _print(rng, style.family, grid)
    return _print(rng, style.family, Grid(grid.height_cm, grid.width_cm, grid.density)).turned()


def _print(rng: np.random.Generator, family: str, grid: Grid) -> Canvas:
    if family in ("carton", "white_box"):
        return surfaces.board(rng, grid, white=family == "white_box")
    if family == "tin":
        canvas = art.front(rng, grid)
        canvas.rectangle((0, 0, grid.width_cm, grid.height_cm), palette(rng)[1], line_cm=0.6)
        return canvas
    return art.front(rng, grid)


def _side(rng: np.random.Generator, style: _Style, grid: Grid) -> Canvas:
    if style.family in ("book", "card"):
        return surfaces.page_block(rng, grid)
    side = _print(rng, style.family, grid)
    if style.family == "tin":  # the lid's rim, in a colour of its own
        side.rectangle((0, 0, grid.width_cm, grid.height_cm * 0.3), palette(rng)[1])
    return side


def _plain_side(top: Canvas, like: Canvas) -> Canvas:
    blue, green, red = (float(channel) for channel in top.pixels.mean((0, 1)))
    return Canvas(like.grid, (blue, green, red))


def _worn_edges(top: Canvas, change: float) -> FloatMap:
    """Return the lid with its outermost 2.5 mm lighter or darker by `change`."""
    rows, columns = top.grid.shape
    rim = np.ones((rows, columns), np.float32)
    width = max(1, round(0.25 * top.grid.density))
    rim[width:-width, width:-width] = 0
    return top.floats() + blur(rim, 0.12 * top.grid.density)[..., None] * np.float32(change)
