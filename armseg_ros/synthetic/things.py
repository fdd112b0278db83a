# SPDX-License-Identifier: Apache-2.0
"""Single products that are neither box nor bag: bottles, jars, tools, plush, sticks, lumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from armseg_ros.synthetic import art, surfaces
from armseg_ros.synthetic.canvas import Canvas, Color, Point
from armseg_ros.synthetic.grid import FloatMap, Grid
from armseg_ros.synthetic.labels import add_sticker
from armseg_ros.synthetic.palette import BLACK, hsv, scale
from armseg_ros.synthetic.products import new_seed

_WHITE: Color = (255.0, 255.0, 255.0)


@dataclass(frozen=True, slots=True)
class Thing:
    """An outline and a look on any grid of the same size in cm."""

    kind: str
    outline: Callable[[Grid], FloatMap]  # cover 0..1
    paint: Callable[[Grid], Canvas]


def make_thing(rng: np.random.Generator, kind: str | None = None) -> Thing:
    """Return a thing of `kind`, or of a random kind; it fills whatever grid it is drawn on."""
    names = list(_MAKERS)
    kind = kind or names[int(rng.integers(len(names)))]
    return _MAKERS[kind](kind, new_seed(rng), rng)


def drawn_outline(draw: Callable[[Canvas, Color], None], grid: Grid) -> FloatMap:
    """Return the cover 0..1 of whatever `draw` paints in the colour it is given."""
    canvas = Canvas(grid, (0.0, 0.0, 0.0))
    draw(canvas, _WHITE)
    return canvas.pixels[..., 0].astype(np.float32) / np.float32(255)


def _bottle(kind: str, seed: int, rng: np.random.Generator) -> Thing:
    """A body with a printed sleeve and a cap of another colour; a tube has no cap."""
    shoulder = rng.uniform(0.62, 0.85) if kind == "bottle" else 1.0
    neck, corner = rng.uniform(0.15, 0.38), rng.uniform(0.05, 0.25)
    has_label = bool(rng.random() < 0.8)

    def body(canvas: Canvas, color: Color) -> None:
        w, h = canvas.width * shoulder, canvas.height
        canvas.polygon(_clipped(w, h, min(corner * h, 0.3 * w)), color)

    def cap(canvas: Canvas, color: Color) -> None:
        if shoulder < 1:
            x, y = canvas.width * shoulder - 0.1, canvas.height * neck
            canvas.rectangle((x, y, canvas.width - x, canvas.height - 2 * y), color)

    def both(canvas: Canvas, color: Color) -> None:
        body(canvas, color)
        cap(canvas, color)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        canvas = surfaces.plastic(stream, grid)
        if has_label:
            sleeve = Grid(grid.width_cm * shoulder * 0.68, grid.height_cm, grid.density)
            canvas.paste(art.front(stream, sleeve).pixels, grid.width_cm * shoulder * 0.15, 0)
        cap(canvas, surfaces.plastic_color(stream))
        return canvas

    return Thing(kind, partial(drawn_outline, both), paint)


def _round(kind: str, seed: int, _rng: np.random.Generator) -> Thing:
    """A ball, or a jar or roll seen on its lid."""

    def disc(canvas: Canvas, color: Color) -> None:
        canvas.ellipse(_middle(canvas), (canvas.width * 0.49, canvas.height * 0.49), color)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        canvas = (
            art.front(stream, grid) if stream.random() < 0.5 else surfaces.plastic(stream, grid)
        )
        if kind == "jar":
            lid = surfaces.plastic_color(stream)
            radii = canvas.width * 0.49, canvas.height * 0.49
            canvas.ellipse(_middle(canvas), radii, lid, line_cm=0.1 * grid.width_cm)
        return canvas

    return Thing(kind, partial(drawn_outline, disc), paint)


def _lump(kind: str, seed: int, rng: np.random.Generator) -> Thing:
    """An irregular solid of a few overlapping ellipses; plush ones have fur and eyes."""
    count = int(rng.integers(3, 8))
    spots = rng.uniform(0.28, 0.72, (count, 2))
    radii = rng.uniform(0.12, 0.28, (count, 2))
    angles = rng.uniform(0, 180, count)

    def blobs(canvas: Canvas, color: Color) -> None:
        for (x, y), (a, b), angle in zip(
            spots.tolist(), radii.tolist(), angles.tolist(), strict=True
        ):
            axes = a * canvas.width, b * canvas.height
            canvas.ellipse((x * canvas.width, y * canvas.height), axes, color, angle_deg=angle)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        if kind != "plush":
            return surfaces.plastic(stream, grid)
        canvas = surfaces.fur(stream, grid)
        x, y = spots[0] * [grid.width_cm, grid.height_cm]
        for side in (-1, 1):
            canvas.ellipse((x + side * 0.07 * grid.width_cm, y), (0.5, 0.5), BLACK)
        return canvas

    return Thing(kind, partial(drawn_outline, blobs), paint)


def _slab(kind: str, seed: int, rng: np.random.Generator) -> Thing:
    """A flat moulded part with clipped corners, sometimes with a hole through it."""
    corner, hole = rng.uniform(0.02, 0.25), rng.uniform(0.15, 0.3) if rng.random() < 0.3 else 0.0

    def plate(canvas: Canvas, color: Color) -> None:
        w, h = canvas.width, canvas.height
        cut = corner * min(w, h)
        canvas.polygon([(cut, 0), (w, 0), (w, h - cut), (w - cut, h), (0, h), (0, cut)], color)
        if hole and color == _WHITE:
            canvas.ellipse(_middle(canvas), (hole * w, hole * h), (0.0, 0.0, 0.0))

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        canvas = surfaces.plastic(stream, grid)
        if stream.random() < 0.4:
            add_sticker(stream, canvas)
        return canvas

    return Thing(kind, partial(drawn_outline, plate), paint)


def _tool(kind: str, seed: int, rng: np.random.Generator) -> Thing:
    """A handle in one colour and a head in another: one object of two parts."""
    neck, handle, head = rng.uniform(0.45, 0.75), rng.uniform(0.18, 0.4), rng.uniform(0.6, 1.0)
    pointed = bool(rng.random() < 0.4)

    def grip(canvas: Canvas, color: Color) -> None:
        w, h = canvas.width * neck, canvas.height * handle
        canvas.rectangle((0.1, (canvas.height - h) / 2, w, h), color)
        canvas.ellipse((0.1 + h / 2, canvas.height / 2), (h * 0.6, h * 0.6), color)

    def working_end(canvas: Canvas, color: Color) -> None:
        x, y, h = canvas.width * neck, canvas.height / 2, canvas.height * head / 2
        tip = h * 0.15 if pointed else h
        canvas.polygon(
            [(x, y - h), (canvas.width, y - tip), (canvas.width, y + tip), (x, y + h)], color
        )

    def both(canvas: Canvas, color: Color) -> None:
        grip(canvas, color)
        working_end(canvas, color)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        canvas = surfaces.plastic(stream, grid)
        metal: Color = (165.0, 165.0, 168.0)
        working_end(canvas, metal if stream.random() < 0.6 else surfaces.plastic_color(stream))
        surfaces.mottle(stream, canvas, 2, 0.06)
        return canvas

    return Thing(kind, partial(drawn_outline, both), paint)


def _sticks(kind: str, seed: int, rng: np.random.Generator) -> Thing:
    """A fan of pencils, skewers or brush handles held together."""
    count = int(rng.integers(4, 10))
    starts, ends = rng.uniform(0.25, 0.75, count), rng.uniform(0.08, 0.92, count)
    thick = rng.uniform(0.4, 1.1)

    def one(canvas: Canvas, stick: int, color: Color) -> None:
        line = [
            (0.3, starts[stick] * canvas.height),
            (canvas.width - 0.3, ends[stick] * canvas.height),
        ]
        canvas.polyline(line, color, thick)

    def all_of(canvas: Canvas, color: Color) -> None:
        for stick in range(count):
            one(canvas, stick, color)
        canvas.rectangle((0, canvas.height * 0.22, canvas.width * 0.3, canvas.height * 0.56), color)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        wood = hsv(stream.uniform(8, 22), stream.uniform(60, 150), stream.uniform(120, 220))
        canvas = Canvas(grid, scale(wood, 0.5))
        for stick in range(count):
            one(canvas, stick, scale(wood, stream.uniform(0.75, 1.2)))
        handle = surfaces.plastic_color(stream)
        canvas.rectangle(
            (0, canvas.height * 0.22, canvas.width * 0.3, canvas.height * 0.56), handle
        )
        return canvas

    return Thing(kind, partial(drawn_outline, all_of), paint)


def _clipped(w: float, h: float, cut: float) -> list[Point]:
    """Return a w x h rectangle whose corners are cut off."""
    upper: list[Point] = [(cut, 0.0), (w - cut, 0.0), (w, cut), (w, h - cut)]
    return [*upper, (w - cut, h), (cut, h), (0.0, h - cut), (0.0, cut)]


def _middle(canvas: Canvas) -> tuple[float, float]:
    return canvas.width / 2, canvas.height / 2


_MAKERS: dict[str, Callable[[str, int, np.random.Generator], Thing]] = {
    "bottle": _bottle,
    "tube": _bottle,
    "ball": _round,
    "jar": _round,
    "lump": _lump,
    "plush": _lump,
    "slab": _slab,
    "tool": _tool,
    "sticks": _sticks,
}
