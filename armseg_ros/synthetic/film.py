# SPDX-License-Identifier: Apache-2.0
"""Clear packaging: bags round goods, bundles under one film, blister cards. One object each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from armseg_ros.synthetic import art, grounds, surfaces
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import SHAPE_DENSITY, FloatMap, Grid, blur, creases, slopes
from armseg_ros.synthetic.labels import sticker
from armseg_ros.synthetic.palette import grey, palette
from armseg_ros.synthetic.products import Paint, SheetProduct, new_seed
from armseg_ros.synthetic.shapes import fold_lines, pillow, rounded, wrinkles
from armseg_ros.synthetic.soft import thing_body, thing_size
from armseg_ros.synthetic.strands import KINDS as STRANDS
from armseg_ros.synthetic.strands import make_strands
from armseg_ros.synthetic.things import Thing, make_thing

_CONTENTS = ("cloth", "cloth", "print", "plastic", "photo", "sheet")


@dataclass(frozen=True, slots=True)
class _Bag:
    """A clear bag: its size in cm, what lies in it and where, the seed of its look."""

    width: float
    height: float
    content: Thing
    slots: tuple[tuple[float, float, float, float], ...]  # x, y, width, height of each copy in cm
    seed: int


def make_clear_bag(rng: np.random.Generator) -> SheetProduct:
    """Return a clear bag round folded cloth, print or plastic, some of it nearly empty film."""
    width, height, thickness = rng.uniform(14, 38), rng.uniform(10, 28), rng.uniform(0.6, 4.5)
    margin = rng.uniform(0.3, 2.5)
    empty = rng.uniform(0, 4) if rng.random() < 0.7 else width * rng.uniform(0.2, 0.5)
    slot = margin, margin, max(3.0, width - 2 * margin - empty), height - 2 * margin
    bag = _Bag(width, height, _flat_content(rng), (slot,), new_seed(rng))
    return _bagged(rng, "clear_bag", bag, thickness)


def make_bundle(rng: np.random.Generator) -> SheetProduct:
    """Return two to eight copies of one thing in rows under one film."""
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    unit_width, unit_height = rng.uniform(5, 10), rng.uniform(6, 14)
    width, height = columns * unit_width + 2, rows * unit_height + 2
    slots = tuple(
        (1 + column * unit_width, 1 + row * unit_height, unit_width - 0.15, unit_height - 0.15)
        for row in range(rows)
        for column in range(columns)
    )
    bag = _Bag(width, height, make_thing(rng), slots, new_seed(rng))
    return _bagged(rng, "bundle", bag, min(unit_width, unit_height) * 0.4)


def make_bagged_thing(rng: np.random.Generator, kind: str | None = None) -> SheetProduct:
    """Return a single thing or coil in a loose clear bag."""
    thing = make_strands(rng, kind) if kind in STRANDS else make_thing(rng, kind)
    width, height = thing_size(rng, thing.kind)
    loose = rng.uniform(0.3, 2.5)
    slot = loose, loose, width, height
    bag = _Bag(width + 2 * loose, height + 2 * loose, thing, (slot,), new_seed(rng))
    return _bagged(rng, f"bagged_{kind or 'thing'}", bag, min(width, height) * 0.3)


def make_blister(rng: np.random.Generator) -> SheetProduct:
    """Return a printed card with a thing under a stiff clear dome."""
    width, height = rng.uniform(11, 26), rng.uniform(8, 17)
    dome = width * rng.uniform(0.35, 0.7), height * rng.uniform(0.5, 0.85)
    slot = (width - dome[0]) * rng.uniform(0.1, 0.9), (height - dome[1]) / 2, *dome
    bag = _Bag(width, height, make_thing(rng), (slot,), new_seed(rng))
    grid = Grid(width, height, SHAPE_DENSITY)
    cover = rounded(rng, grid, 0.03)
    body = np.full(grid.shape, 0.1, np.float32)
    thickness = rng.uniform(1, 3.5)
    dome_cover = rounded(rng, Grid(*dome, SHAPE_DENSITY), 0.05)
    _add(body, pillow(dome_cover, SHAPE_DENSITY, thickness, 0.6), slot, SHAPE_DENSITY)
    return SheetProduct(
        "blister", width, height, thickness, cover, body, 0.0, partial(_paint_blister, bag)
    )


def _bagged(rng: np.random.Generator, family: str, bag: _Bag, thickness: float) -> SheetProduct:
    grid = Grid(bag.width, bag.height, SHAPE_DENSITY)
    cover = rounded(rng, grid, 0.25)
    body = grid.zeros()
    for slot in bag.slots:
        inside = Grid(slot[2], slot[3], SHAPE_DENSITY)
        heights = thing_body(rng, bag.content, inside)
        heights = heights * np.float32(thickness / max(0.1, float(heights.max())))
        _add(body, heights, slot, SHAPE_DENSITY)
    body = (
        blur(body, 0.4 * SHAPE_DENSITY) + np.float32(0.15) + creases(rng, grid, 5, octaves=2) * 0.1
    )
    drape = rng.uniform(0.4, 0.9)
    paint = partial(_paint_bag, bag)
    return SheetProduct(family, bag.width, bag.height, thickness, cover, body, drape, paint)


def _paint_bag(bag: _Bag, density: float) -> Paint:
    rng = np.random.default_rng(bag.seed)
    grid = Grid(bag.width, bag.height, density)
    film = rng.uniform(0.03, 0.25)
    canvas = Canvas(grid, grey(rng.uniform(140, 215)))
    inside = grid.zeros()
    _fill_slots(canvas, inside, bag)
    haze = rng.uniform(0, 0.25)
    color = canvas.floats()
    color += (np.float32(200) - color) * np.float32(haze) * inside[..., None]
    ridges = (
        creases(rng, grid, rng.uniform(2.7, 7)) * 0.35
        + fold_lines(rng, grid, int(rng.integers(0, 5))) * 0.3
    )
    opacity = np.maximum(inside, (film + np.maximum(ridges - 0.3, 0)).clip(0, 0.75)).astype(
        np.float32
    )
    if rng.random() < 0.6:
        _stick_on(rng, grid, color, opacity)
    sparkle = wrinkles(rng, grid, rng.uniform(0.35, 1.1))
    sparkle += slopes(blur(ridges.astype(np.float32), 0.05 * density), density, 0.15)
    return Paint(
        color, rng.uniform(0.4, 1), rng.uniform(0.03, 0.1), opacity=opacity, sparkle=sparkle
    )


def _paint_blister(bag: _Bag, density: float) -> Paint:
    rng = np.random.default_rng(bag.seed)
    grid = Grid(bag.width, bag.height, density)
    canvas = art.front(rng, grid)
    x, y, width, height = bag.slots[0]
    canvas.shade(np.full(Grid(width, height, density).shape, 0.8, np.float32), x, y)
    inside = grid.zeros()
    _fill_slots(canvas, inside, bag)
    gloss = np.full(grid.shape, rng.uniform(0.1, 0.3), np.float32)
    _add(gloss, np.full(Grid(width, height, density).shape, 0.6, np.float32), bag.slots[0], density)
    return Paint(canvas.floats(), gloss, 0.05)


def _fill_slots(canvas: Canvas, inside: FloatMap, bag: _Bag) -> None:
    """Paint every copy of the content, and mark in `inside` (0..1) where it is."""
    density = canvas.grid.density
    first = Grid(bag.slots[0][2], bag.slots[0][3], density)
    look, cover = bag.content.paint(first).floats(), bag.content.outline(first)
    for x, y, _, _ in bag.slots:
        top, left = round(y * density), round(x * density)
        target = canvas.pixels[top : top + cover.shape[0], left : left + cover.shape[1]]
        rows, columns = target.shape[:2]
        weight = cover[:rows, :columns, None]
        target[:] = (target * (1 - weight) + look[:rows, :columns] * weight).astype(np.uint8)
        area = inside[top : top + rows, left : left + columns]
        np.maximum(area, cover[:rows, :columns], out=area)


def _stick_on(rng: np.random.Generator, grid: Grid, color: FloatMap, opacity: FloatMap) -> None:
    """Put an opaque label on the film."""
    width = min(9.0, grid.width_cm * rng.uniform(0.2, 0.45))
    label = sticker(rng, Grid(width, min(width * 0.55, grid.height_cm * 0.6), grid.density))
    top = int((grid.shape[0] - label.grid.shape[0]) * rng.random())
    left = int((grid.shape[1] - label.grid.shape[1]) * rng.random())
    area = np.s_[max(0, top) : max(0, top) + label.grid.shape[0], left : left + label.grid.shape[1]]
    color[area] = label.floats()[: color[area].shape[0], : color[area].shape[1]]
    opacity[area] = 1


def _add(
    field: FloatMap, piece: FloatMap, slot: tuple[float, float, float, float], density: float
) -> None:
    """Add `piece` to `field` with its corner at the slot's."""
    top, left = round(slot[1] * density), round(slot[0] * density)
    target = field[top : top + piece.shape[0], left : left + piece.shape[1]]
    target += piece[: target.shape[0], : target.shape[1]]


def _flat_content(rng: np.random.Generator) -> Thing:
    """Return folded cloth, a printed card, plastic, a photograph or white paper, as a thing."""
    kind = _CONTENTS[int(rng.integers(len(_CONTENTS)))]
    seed, edge = new_seed(rng), new_seed(rng)

    def outline(grid: Grid) -> FloatMap:
        return rounded(np.random.default_rng(edge), grid, 0.35 if kind == "cloth" else 0.05)

    def paint(grid: Grid) -> Canvas:
        stream = np.random.default_rng(seed)
        return _PAINTERS[kind](stream, grid)

    return Thing("flat", outline, paint)


def _folded(rng: np.random.Generator, grid: Grid) -> Canvas:
    canvas = surfaces.cloth(rng, grid)
    surfaces.folds(rng, canvas)
    return canvas


def _photo(rng: np.random.Generator, grid: Grid) -> Canvas:
    canvas = Canvas(grid)
    grounds.photograph(rng, canvas, palette(rng))
    return canvas


def _paper(rng: np.random.Generator, grid: Grid) -> Canvas:
    return surfaces.board(rng, grid, white=True)


_PAINTERS: dict[str, Callable[[np.random.Generator, Grid], Canvas]] = {
    "cloth": _folded,
    "print": art.front,
    "plastic": surfaces.plastic,
    "photo": _photo,
    "sheet": _paper,
}
