# SPDX-License-Identifier: Apache-2.0
"""Long thin goods: coiled straps, cables, ropes and tangles of cord."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic import surfaces
from armseg_ros.synthetic.canvas import Canvas, Color
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.labels import sticker
from armseg_ros.synthetic.palette import hsv, scale
from armseg_ros.synthetic.products import new_seed
from armseg_ros.synthetic.things import Thing, drawn_outline

KINDS = ("strap", "cable", "tangle")
_Path = npt.NDArray[np.float64]  # (points, 2) in shares 0..1 of the sheet's width and height


@dataclass(frozen=True, slots=True)
class _Strand:
    path: _Path
    width_cm: float
    color: Color
    woven: bool


def make_strands(rng: np.random.Generator, kind: str) -> Thing:
    """Return a coil or tangle of one of `KINDS` as a thing that fills the grid it is drawn on."""
    strands = {"strap": _strap, "cable": _cable, "tangle": _tangle}[kind](rng)
    tag = new_seed(rng) if rng.random() < (0.75 if kind == "strap" else 0.25) else None
    middle = tuple(np.concatenate([strand.path for strand in strands]).mean(0).tolist())

    def outline(canvas: Canvas, color: Color) -> None:
        for strand in strands:
            canvas.polyline(_points(strand.path, canvas), color, strand.width_cm)

    def paint(grid: Grid) -> Canvas:
        canvas = Canvas(grid, scale(strands[0].color, 0.4))
        for strand in strands:
            _draw(canvas, strand)
        if tag is not None:
            _add_tag(np.random.default_rng(tag), canvas, middle)
        return canvas

    return Thing(kind, partial(drawn_outline, outline), paint)


def _strap(rng: np.random.Generator) -> list[_Strand]:
    """Flat webbing wound into a long loop, a second colour sewn to its end."""
    colors = (
        hsv(rng.uniform(25, 33), 220, 225),
        surfaces.cloth_color(rng),
        hsv(rng.uniform(0, 180), 220, 170),
    )
    color = colors[int(rng.integers(3))]
    width = rng.uniform(1.2, 2.8)
    loops = []
    for turn in range(int(rng.integers(2, 5))):
        reach = 0.42 - 0.075 * turn
        path = _racetrack(rng, reach * rng.uniform(0.93, 1.05), max(0.05, reach * 0.8))
        loops.append(_Strand(path, width, scale(color, rng.uniform(0.85, 1.1)), woven=True))
    end = np.array([[0.1, rng.uniform(0.2, 0.8)], [rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.7)]])
    loops.append(_Strand(end, width * 0.8, hsv(rng.choice([0, 6, 110]), 220, 190), woven=False))
    return loops


def _cable(rng: np.random.Generator) -> list[_Strand]:
    """A coiled lead with a loose tail that ends in a plug, sometimes with a tie."""
    dark = float(rng.choice([25, 40, 235, 200]))
    color = hsv(rng.uniform(0, 180), rng.choice([0, 0, 200]), dark)
    turns, width = rng.uniform(2.2, 6), rng.uniform(0.4, 0.9)
    angle = np.linspace(0, 2 * np.pi * turns, int(turns * 22))
    drift = np.cumsum(rng.normal(0, 0.006, (len(angle), 2)), 0).clip(-0.08, 0.08)
    radius = 0.28 + 0.06 * np.sin(angle / 3.1 + rng.uniform(0, 6))
    coil = 0.5 + np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None] + drift
    tail = np.array(
        [coil[-1], coil[-1] * 0.5 + rng.uniform(0.02, 0.48, 2), rng.uniform(0.06, 0.94, 2)]
    )
    path = np.concatenate([coil, _smooth(tail, 14)]).clip(0.04, 0.96)
    plug = path[-1] + np.array([[0.0, 0.0], [0.05, 0.02]])
    strands = [_Strand(path, width, color, woven=False)]
    strands.append(_Strand(plug.clip(0.04, 0.96), width * 2.4, scale(color, 0.8), woven=False))
    if rng.random() < 0.6:
        tie = np.array([[0.5 - radius[0] - 0.09, 0.5], [0.5 - radius[0] + 0.09, 0.5]])
        strands.append(_Strand(tie, 0.5, (20.0, 20.0, 20.0), woven=False))
    return strands


def _tangle(rng: np.random.Generator) -> list[_Strand]:
    """Loose cord that wanders over itself."""
    strands = []
    for _ in range(int(rng.integers(1, 4))):
        knots = rng.uniform(0.1, 0.9, (int(rng.integers(6, 16)), 2))
        width, woven = rng.uniform(0.4, 1.6), bool(rng.random() < 0.5)
        strands.append(_Strand(_smooth(knots, 12), width, surfaces.cloth_color(rng), woven))
    return strands


def _racetrack(rng: np.random.Generator, reach_x: float, reach_y: float) -> _Path:
    angle = np.linspace(0, 2 * np.pi, 40) + rng.uniform(0, 6)
    shape = np.stack([np.cos(angle), np.sin(angle)], 1)
    squared = np.sign(shape) * np.abs(shape) ** 0.75
    wobble = 0.015 * np.sin(angle * 3 + rng.uniform(0, 6))[:, None]
    path = 0.5 + squared * (reach_x, reach_y) + wobble + rng.normal(0, 0.015, 2)
    return np.asarray(path, np.float64)


def _smooth(knots: _Path, steps: int) -> _Path:
    """Return a Catmull-Rom curve through `knots`, `steps` points for each stretch."""
    padded = np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        linear, square, cube = c - a, 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d
        pieces.append(0.5 * (2 * b + linear * t + square * t**2 + cube * t**3))
    return np.concatenate([*pieces, knots[-1:]])


def _points(path: _Path, canvas: Canvas) -> list[tuple[float, float]]:
    return [(float(x) * canvas.width, float(y) * canvas.height) for x, y in path]


def _draw(canvas: Canvas, strand: _Strand) -> None:
    """Draw a strand in short, dark-edged stretches, so that later turns cross over earlier."""
    points = _points(strand.path, canvas)
    width, stretch = strand.width_cm, 4
    for first in range(0, len(points) - 1, stretch):
        piece = points[first : first + stretch + 1]
        body = points[
            max(0, first - 2) : first + stretch + 1
        ]  # hides the dark cap of the last piece
        tone = 0.88 if strand.woven and (first // stretch) % 2 else 1.0
        canvas.polyline(piece, scale(strand.color, 0.45), width)
        canvas.polyline(body, scale(strand.color, tone), width * 0.84)
        canvas.polyline(body, scale(strand.color, 1.2 * tone), width * 0.35)
        if strand.woven and len(piece) > 2:
            canvas.polyline(piece, scale(strand.color, 0.75 * tone), 0.08)


def _add_tag(rng: np.random.Generator, canvas: Canvas, middle: tuple[float, ...]) -> None:
    width = min(8.0, canvas.width * rng.uniform(0.35, 0.6))
    tag = sticker(rng, Grid(width, min(width * 0.4, canvas.height * 0.5), canvas.grid.density))
    x, y = middle[0] * canvas.width - tag.width / 2, middle[1] * canvas.height - tag.height / 2
    canvas.paste(tag.pixels, max(0.0, x), max(0.0, y))
