# SPDX-License-Identifier: Apache-2.0
"""What is stuck or printed on goods to be read: barcodes, address labels, small print, tables."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.canvas import Canvas, Color
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.lettering import Ink, phrase, plain_face, word, write
from armseg_ros.synthetic.palette import BLACK, grey, hsv

_LINE_SPACING = 1.35


def paragraph(
    rng: np.random.Generator, canvas: Canvas, box: tuple[float, float, float, float], ink: Ink
) -> None:
    """Fill `box` (x, y, width, height in cm) with ragged lines of words."""
    x, y, width, height = box
    lines = int(height / (ink.size_cm * _LINE_SPACING))
    for line in range(min(lines, 24)):
        letters = width * rng.uniform(0.55, 1) / (ink.size_cm * 0.48)
        text = word(rng)
        while len(text) < letters - 4:
            text += " " + word(rng)
        write(canvas, text, (x, y + line * ink.size_cm * _LINE_SPACING), ink)


def barcode(
    rng: np.random.Generator, canvas: Canvas, box: tuple[float, float, float, float]
) -> None:
    """Print a bar code with its digits into `box` (x, y, width, height in cm)."""
    x, y, width, height = box
    canvas.rectangle((x - 0.15, y - 0.1, width + 0.3, height + 0.2), (250, 250, 250))
    modules = rng.integers(1, 4, 48)
    step = width / float(modules.sum())
    edge = 0
    for index, module in enumerate(modules.tolist()):
        if index % 2 == 0:
            canvas.rectangle((x + edge * step, y, module * step, height * 0.82), BLACK)
        edge += module
    digits = "".join(str(digit) for digit in rng.integers(0, 10, 12))
    write(canvas, digits, (x, y + height * 0.84), Ink(height * 0.2, BLACK, plain_face(rng)))


def square_code(rng: np.random.Generator, canvas: Canvas, x: float, y: float, side: float) -> None:
    """Print a square matrix code."""
    cells = 13
    canvas.rectangle((x - side * 0.06, y - side * 0.06, side * 1.12, side * 1.12), (250, 250, 250))
    for row, column in np.argwhere(rng.random((cells, cells)) < 0.5).tolist():
        canvas.rectangle(
            (x + column * side / cells, y + row * side / cells, side / cells, side / cells), BLACK
        )


def sticker(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return a white stock or address label: a code, a name, small print, perhaps a bold letter."""
    canvas = Canvas(grid, grey(rng.uniform(228, 255), rng.uniform(-3, 3)))
    width, height = canvas.width, canvas.height
    if rng.random() < 0.2:
        canvas.rectangle((0, 0, width, height * 0.2), hsv(rng.uniform(0, 180), 220, 220))
    code_width, code_height = width * rng.uniform(0.55, 0.86), height * rng.uniform(0.3, 0.5)
    x, y = width * 0.07, height * rng.uniform(0.08, 0.3)
    barcode(rng, canvas, (x, y, code_width, code_height))
    if rng.random() < 0.3:
        side = min(width - code_width - x, height * 0.5) * 0.8
        square_code(rng, canvas, x + code_width + 0.1, y, max(0.3, side))
    small = Ink(max(0.16, height * rng.uniform(0.07, 0.13)), BLACK, plain_face(rng))
    top = y + code_height * 1.1
    paragraph(rng, canvas, (x, top, width * 0.85, height - top), small)
    if rng.random() < 0.3:
        write(canvas, phrase(rng, 1), (x, top), Ink(height * 0.25, BLACK, plain_face(rng)))
    return canvas


def add_sticker(
    rng: np.random.Generator, canvas: Canvas, share: tuple[float, float] = (0.25, 0.6)
) -> None:
    """Stick a label on the sheet, as wide as `share` (low, high) of it and 9 cm at most."""
    width = min(canvas.width * rng.uniform(*share), 9.0)
    height = min(width * rng.uniform(0.3, 0.75), canvas.height * 0.8)
    turned, across, down = rng.random() < 0.4, rng.random(), rng.random()
    piece = sticker(rng, Grid(width, height, canvas.grid.density))
    if min(width, height) < 0.8:
        return
    if turned:
        piece = piece.turned()
    x = max(0.0, canvas.width - piece.width) * across
    y = max(0.0, canvas.height - piece.height) * down
    canvas.paste(piece.pixels, x, y)


def facts_table(rng: np.random.Generator, canvas: Canvas, x: float, y: float, width: float) -> None:
    """Print a white box of ruled lines, as the nutrition facts of food."""
    rows, step = int(rng.integers(6, 14)), width * 0.1
    canvas.rectangle((x, y, width, step * (rows + 2)), (248, 248, 248))
    canvas.rectangle((x, y, width, step * (rows + 2)), BLACK, line_cm=0.08)
    face = plain_face(rng)
    write(canvas, phrase(rng, 2), (x + step * 0.4, y + step * 0.3), Ink(step * 1.4, BLACK, face))
    for row in range(rows):
        top = y + step * (row + 2)
        canvas.rectangle((x, top, width, 0.04), BLACK)
        write(
            canvas, phrase(rng, 2), (x + step * 0.4, top + step * 0.2), Ink(step * 0.7, BLACK, face)
        )


def stamp(rng: np.random.Generator, canvas: Canvas, ink: Color) -> None:
    """Print one or two words, as on the outside of shipping cartons."""
    for _ in range(int(rng.integers(0, 3))):
        at = rng.uniform(0, 0.6) * canvas.width, rng.uniform(0, 0.8) * canvas.height
        size = rng.uniform(0.7, 2.4)
        upright = bool(rng.random() < 0.2)
        write(canvas, phrase(rng, 1).upper(), at, Ink(size, ink, plain_face(rng), upright=upright))
