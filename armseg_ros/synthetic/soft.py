# SPDX-License-Identifier: Apache-2.0
"""Opaque soft goods and bare things: mailers, pouches, garments, bottles, tools, coils."""

from __future__ import annotations

from functools import partial

import numpy as np

from armseg_ros.synthetic import art, surfaces
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import SHAPE_DENSITY, FloatMap, Grid, blur, clouds, creases, slopes
from armseg_ros.synthetic.labels import add_sticker, paragraph
from armseg_ros.synthetic.lettering import Ink, plain_face
from armseg_ros.synthetic.palette import contrasting, grey, hsv
from armseg_ros.synthetic.products import Paint, SheetProduct, new_seed
from armseg_ros.synthetic.shapes import pillow, rounded, wrinkles
from armseg_ros.synthetic.strands import KINDS as STRANDS
from armseg_ros.synthetic.strands import make_strands
from armseg_ros.synthetic.things import Thing, make_thing


def make_mailer(rng: np.random.Generator) -> SheetProduct:
    """Return an opaque mailing bag: plain, kraft, coloured or printed all over, padded or thin."""
    width, height, thickness = rng.uniform(14, 38), rng.uniform(11, 28), rng.uniform(0.8, 4)
    grid = Grid(width, height, SHAPE_DENSITY)
    cover = rounded(rng, grid, 0.12)
    body = pillow(cover, SHAPE_DENSITY, thickness * 0.6, rng.uniform(3, 7))
    body = (
        body
        + clouds(rng, grid, 4, octaves=3) * 0.12
        + creases(rng, grid, 6, octaves=2) * rng.uniform(0.05, 0.3)
    )
    paint = partial(_paint_mailer, new_seed(rng), width, height)
    return SheetProduct(
        "mailer", width, height, thickness, cover, body, rng.uniform(0.4, 0.9), paint
    )


def _paint_mailer(seed: int, width: float, height: float, density: float) -> Paint:
    rng = np.random.default_rng(seed)
    grid = Grid(width, height, density)
    kind = rng.random()
    if kind < 0.12:
        canvas = art.front(rng, grid)
    else:
        shade = grey(float(rng.choice([238, 215, 165, 40, 22])), rng.uniform(-6, 6))
        kraft = hsv(rng.uniform(10, 16), rng.uniform(80, 130), rng.uniform(140, 200))
        color = (
            shade if kind < 0.65 else kraft if kind < 0.8 else hsv(rng.uniform(0, 180), 190, 170)
        )
        canvas = Canvas(grid, color)
        surfaces.mottle(rng, canvas, 7, 0.025)
        if rng.random() < 0.4:
            ink = Ink(0.6, contrasting(color), plain_face(rng))
            paragraph(rng, canvas, (width * 0.1, height * 0.72, width * 0.6, height * 0.22), ink)
    if rng.random() < 0.7:
        add_sticker(rng, canvas, (0.15, 0.5))
    film = wrinkles(rng, grid, rng.uniform(0.1, 0.5))
    return Paint(canvas.floats(), rng.uniform(0.1, 0.55), rng.uniform(0.05, 0.2), sparkle=film)


def make_pouch(rng: np.random.Generator) -> SheetProduct:
    """Return a printed, filled bag with crimped ends: snacks, coffee, pet food."""
    width, height, thickness = rng.uniform(13, 34), rng.uniform(10, 22), rng.uniform(1.5, 5.5)
    grid = Grid(width, height, SHAPE_DENSITY)
    cover = rounded(rng, grid, 0.1)
    body = pillow(cover, SHAPE_DENSITY, thickness * 0.8, rng.uniform(2, 5))
    body = (
        body
        + clouds(rng, grid, 3, octaves=3) * 0.15
        + creases(rng, grid, 5, octaves=2) * rng.uniform(0.05, 0.35)
    )
    seal = rng.uniform(0.6, 1.6)
    x, _ = grid.coordinates_cm()
    body = body * np.where((x < seal) | (x > width - seal), 0.3, 1).astype(np.float32)
    paint = partial(_paint_pouch, new_seed(rng), width, height, seal)
    return SheetProduct(
        "pouch", width, height, thickness, cover, body, rng.uniform(0.3, 0.8), paint
    )


def _paint_pouch(seed: int, width: float, height: float, seal: float, density: float) -> Paint:
    rng = np.random.default_rng(seed)
    canvas = art.front(rng, Grid(height, width, density)).turned()
    x, _ = canvas.grid.coordinates_cm()
    ribs = 1 + 0.1 * np.sin(x * 20) * ((x < seal) | (x > width - seal))
    canvas.shade(np.broadcast_to(ribs, canvas.grid.shape).astype(np.float32))
    film = wrinkles(rng, canvas.grid, rng.uniform(0.15, 0.6))
    return Paint(canvas.floats(), rng.uniform(0.2, 0.75), rng.uniform(0.05, 0.18), sparkle=film)


def make_garment(rng: np.random.Generator) -> SheetProduct:
    """Return cloth without a bag: folded flat, or dropped in a heap."""
    width, height, thickness = rng.uniform(14, 36), rng.uniform(10, 28), rng.uniform(1, 4.5)
    heaped = rng.random() < 0.5
    grid = Grid(width, height, SHAPE_DENSITY)
    cover = rounded(rng, grid, 0.8 if heaped else 0.2)
    body = pillow(cover, SHAPE_DENSITY, thickness * 0.7, 2.5)
    body = body + creases(rng, grid, 6, octaves=2) * (0.6 if heaped else 0.15)
    paint = partial(_paint_cloth, new_seed(rng), width, height)
    return SheetProduct(
        "garment", width, height, thickness, cover, body, rng.uniform(0.6, 1), paint
    )


def _paint_cloth(seed: int, width: float, height: float, density: float) -> Paint:
    rng = np.random.default_rng(seed)
    canvas = surfaces.cloth(rng, Grid(width, height, density))
    surfaces.folds(rng, canvas)
    if rng.random() < 0.25:
        add_sticker(rng, canvas, (0.15, 0.3))
    return Paint(canvas.floats(), 0.01, 0.4)


def make_bare(rng: np.random.Generator, family: str) -> SheetProduct:
    """Return an unwrapped thing or coil; `family` is a kind of thing or strand."""
    width, height = thing_size(rng, family)
    thing = make_strands(rng, family) if family in STRANDS else make_thing(rng, family)
    grid = Grid(width, height, SHAPE_DENSITY)
    cover = thing.outline(grid)
    body = thing_body(rng, thing, grid)
    seed = new_seed(rng)
    drape = 0.7 if family in (*STRANDS, "plush") else 0.0
    paint = partial(_paint_bare, thing, seed, width, height)
    return SheetProduct(family, width, height, float(body.max()), cover, body, drape, paint)


def thing_size(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Return a plausible width and height in cm for a kind of thing or strand."""
    length = rng.uniform(10, 30)
    if kind in ("bottle", "tube"):
        return length, length * rng.uniform(0.18, 0.45)
    if kind in ("tool", "sticks"):
        return length, length * rng.uniform(0.2, 0.5)
    if kind in ("ball", "jar"):
        return (diameter := rng.uniform(6, 16)), diameter
    if kind in STRANDS:
        return rng.uniform(14, 30), rng.uniform(9, 18)
    return length, rng.uniform(7, 17)


def thing_body(rng: np.random.Generator, thing: Thing, grid: Grid) -> FloatMap:
    """Return the heights of a thing: strands pile up where they cross, the rest are round."""
    cover = thing.outline(grid)
    narrow = min(grid.width_cm, grid.height_cm)
    if thing.kind in STRANDS:
        piled = blur(cover, 1.2 * SHAPE_DENSITY) * rng.uniform(1.2, 3)
        return pillow(cover, grid.density, 0.8, 0.6) + piled * (cover > 0.5)
    if thing.kind == "slab":
        return pillow(cover, grid.density, narrow * rng.uniform(0.06, 0.25), 0.5)
    return pillow(cover, grid.density, narrow * rng.uniform(0.3, 0.5), narrow / 2)


def _paint_bare(thing: Thing, seed: int, width: float, height: float, density: float) -> Paint:
    rng = np.random.default_rng(seed)
    grid = Grid(width, height, density)
    canvas = thing.paint(grid)
    gloss = 0.03 if thing.kind in (*STRANDS, "plush") else rng.uniform(0.05, 0.7)
    sparkle = slopes(clouds(rng, grid, 3, octaves=2) * np.float32(0.1), density)
    return Paint(
        canvas.floats(), gloss, rng.uniform(0.05, 0.25), cover=thing.outline(grid), sparkle=sparkle
    )
