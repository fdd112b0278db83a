# SPDX-License-Identifier: Apache-2.0
"""Unprinted materials: board, paper, cloth, plastic, fur, webbing."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.canvas import Canvas, Color
from armseg_ros.synthetic.grid import Grid, clouds
from armseg_ros.synthetic.labels import add_sticker, stamp
from armseg_ros.synthetic.palette import grey, hsv, mix, scale


def mottle(rng: np.random.Generator, canvas: Canvas, cell_cm: float, depth: float) -> None:
    """Vary the brightness by about `depth` (0.05 = 5 %) in patches of `cell_cm`."""
    canvas.shade(1 + np.float32(depth) * clouds(rng, canvas.grid, cell_cm))


def board(rng: np.random.Generator, grid: Grid, white: bool) -> Canvas:
    """Return the face of a shipping carton: kraft or white board, seam, tape, stamp, label."""
    base = grey(rng.uniform(190, 250), rng.uniform(-6, 6))
    if not white:
        base = hsv(rng.uniform(9, 17), rng.uniform(60, 135), rng.uniform(120, 205))
    canvas = Canvas(grid, base)
    mottle(rng, canvas, 5, 0.012 if white else 0.04)
    if not white and rng.random() < 0.6:
        x, _ = grid.coordinates_cm()
        flutes = 1 + 0.015 * np.sin(x * rng.uniform(8, 14))
        canvas.shade(np.broadcast_to(flutes, grid.shape).astype(np.float32))
    taped, seam = rng.random() < (0.3 if white else 0.65), rng.random() < 0.55
    tape, width = float(rng.choice([0.86, 0.93, 1.08])), rng.uniform(0.12, 0.28) * grid.height_cm
    if seam:
        canvas.rectangle((0, grid.height_cm / 2, grid.width_cm, 0.1), scale(base, 0.55))
    if taped:
        strip = Grid(grid.width_cm, width, grid.density)
        canvas.shade(np.full(strip.shape, tape, np.float32), 0, (grid.height_cm - width) / 2)
    stamp(rng, canvas, mix(base, (20, 25, 30), 0.85))
    if rng.random() < 0.6:
        add_sticker(rng, canvas)
    return canvas


def page_block(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return the cut edge of a book: cream paper with the lines of its leaves along x."""
    canvas = Canvas(grid, grey(rng.uniform(200, 242), rng.uniform(0, 8)))
    leaves = rng.uniform(0.9, 1.06, max(2, int(grid.height_cm * 8)))
    rows = np.linspace(0, len(leaves) - 1, grid.shape[0]).round().astype(int)
    canvas.shade(np.repeat(leaves[rows, None], grid.shape[1], 1).astype(np.float32))
    return canvas


def cloth_color(rng: np.random.Generator) -> Color:
    """Return a dye: often dark or dull, sometimes bright."""
    value = float(rng.choice([25, 40, 70, 140, 220]))
    return hsv(rng.uniform(0, 180), rng.uniform(0, 235), value)


def cloth(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return woven or knitted cloth: plain, striped, checked or spotted."""
    color = cloth_color(rng)
    canvas = Canvas(grid, color)
    other = mix(color, cloth_color(rng), 0.7)
    pattern, pitch = rng.random(), rng.uniform(0.6, 4)
    if pattern < 0.35:
        for start in np.arange(0, grid.width_cm, pitch * 2):
            canvas.rectangle((float(start), 0, pitch * rng.uniform(0.2, 1), grid.height_cm), other)
    if 0.2 < pattern < 0.35:
        for start in np.arange(0, grid.height_cm, pitch * 2):
            canvas.rectangle((0, float(start), grid.width_cm, pitch * 0.4), mix(color, other, 0.5))
    if 0.35 < pattern < 0.45:
        for _ in range(40):
            at = rng.uniform(0, grid.width_cm), rng.uniform(0, grid.height_cm)
            canvas.ellipse(at, (pitch * 0.3, pitch * 0.3), other)
    x, y = grid.coordinates_cm()
    weave = rng.uniform(5, 25)
    canvas.shade(1 + 0.14 * np.sin(x * weave) * np.sin(y * weave) + 0.1 * clouds(rng, grid, 2.4))
    return canvas


def folds(rng: np.random.Generator, canvas: Canvas) -> None:
    """Darken the cloth beside the straight edges of a folded garment."""
    for _ in range(int(rng.integers(1, 4))):
        along_x, at = rng.random() < 0.5, rng.uniform(0.15, 0.85)
        x, y = canvas.grid.coordinates_cm()
        distance = (y - at * canvas.height) if along_x else (x - at * canvas.width)
        shadow = np.exp(-np.maximum(distance, 0) / 0.8) * (distance > 0)
        crest = np.exp(-((distance / 0.25) ** 2))
        gain = 1 - 0.45 * shadow + 0.15 * crest
        canvas.shade(np.broadcast_to(gain, canvas.grid.shape).astype(np.float32))


def fur(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return plush: short hair in one colour with a paler patch."""
    color = hsv(rng.uniform(0, 180), rng.choice([40, 120, 200]), rng.uniform(90, 240))
    canvas = Canvas(grid, color)
    at = rng.uniform(0.3, 0.7) * grid.width_cm, rng.uniform(0.3, 0.7) * grid.height_cm
    canvas.ellipse(at, (grid.width_cm * 0.2, grid.height_cm * 0.25), scale(color, 1.25))
    canvas.shade(1 + 0.13 * clouds(rng, grid, 0.6, octaves=3, gain=0.8))
    return canvas


def plastic_color(rng: np.random.Generator) -> Color:
    """Return the colour of moulded plastic or painted metal: black, white, grey or loud."""
    saturation = float(rng.choice([0, 30, 200, 240]))
    return hsv(rng.uniform(0, 180), saturation, float(rng.choice([26, 60, 140, 225, 245])))


def plastic(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return moulded plastic with a few parts of another tone set in."""
    color = plastic_color(rng)
    canvas = Canvas(grid, color)
    mottle(rng, canvas, 6, 0.02)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, 0.7) * grid.width_cm, rng.uniform(0, 0.7) * grid.height_cm
        w, h = rng.uniform(0.1, 0.5) * grid.width_cm, rng.uniform(0.1, 0.5) * grid.height_cm
        tone = scale(color, rng.uniform(0.4, 1.35)) if rng.random() < 0.7 else plastic_color(rng)
        canvas.rectangle((x, y, w, h), tone, line_cm=0 if rng.random() < 0.4 else 0.15)
    return canvas
