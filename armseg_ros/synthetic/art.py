# SPDX-License-Identifier: Apache-2.0
"""Printed fronts of packages: a ground, motifs, headlines, small print, each chosen on its own.

13 grounds x 9 motifs (up to two) x 5 headline layouts x 6 kinds of small print x 12 faces x the palettes:
thousands of recipes before any number in them varies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from armseg_ros.synthetic import grounds
from armseg_ros.synthetic.canvas import Canvas, Color
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.labels import add_sticker, barcode, facts_table, paragraph
from armseg_ros.synthetic.lettering import Ink, display_face, phrase, plain_face, write
from armseg_ros.synthetic.palette import BLACK, WHITE, contrasting, luma, palette, scale

_Part: TypeAlias = Callable[[np.random.Generator, Canvas, list[Color]], None]


def front(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return the printed front of a package, book or bag in reading position."""
    colors = palette(rng)
    canvas = Canvas(grid, colors[0])
    grounds.paint_ground(rng, canvas, colors)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        _MOTIFS[int(rng.integers(len(_MOTIFS)))](rng, canvas, colors)
    _HEADLINES[int(rng.integers(len(_HEADLINES)))](rng, canvas, colors)
    _SMALL_PRINT[int(rng.integers(len(_SMALL_PRINT)))](rng, canvas, colors)
    if rng.random() < 0.2:
        add_sticker(rng, canvas, (0.2, 0.45))
    return canvas


# ---- motifs ---------------------------------------------------------------------------------------


def _band(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    color, share = colors[int(rng.integers(1, 5))], rng.uniform(0.06, 0.3)
    if rng.random() < 0.7:
        canvas.rectangle(
            0, rng.uniform(0, 0.85) * canvas.height, canvas.width, share * canvas.height, color
        )
    else:
        canvas.rectangle(
            rng.uniform(0, 0.85) * canvas.width, 0, share * canvas.width, canvas.height, color
        )


def _badge(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    at = rng.uniform(0.2, 0.8) * canvas.width, rng.uniform(0.2, 0.8) * canvas.height
    radii = canvas.width * rng.uniform(0.1, 0.3), canvas.height * rng.uniform(0.07, 0.2)
    angle = rng.uniform(-25, 25)
    canvas.ellipse(at, radii, colors[2], angle)
    if rng.random() < 0.5:
        canvas.ellipse(at, (radii[0] * 0.9, radii[1] * 0.9), colors[4], angle, 0.12)


def _frame(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    margin = rng.uniform(0.03, 0.1) * min(canvas.width, canvas.height)
    size = canvas.width - 2 * margin, canvas.height - 2 * margin
    canvas.rectangle(margin, margin, *size, colors[int(rng.integers(1, 5))], rng.uniform(0.1, 0.5))


def _star(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    center = np.array(
        [rng.uniform(0.15, 0.85) * canvas.width, rng.uniform(0.15, 0.85) * canvas.height]
    )
    points, outer = (
        int(rng.integers(5, 16)),
        rng.uniform(0.1, 0.25) * min(canvas.width, canvas.height),
    )
    angles = np.arange(2 * points) * np.pi / points + rng.uniform(0, 3)
    radii = np.where(np.arange(2 * points) % 2, outer * rng.uniform(0.5, 0.85), outer)
    corners = center + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    canvas.polygon([(float(x), float(y)) for x, y in corners], colors[3])


def _portrait(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """A creature or product of a few shaded ellipses, as mascots and photographs read from afar."""
    center = rng.uniform(0.3, 0.7) * canvas.width, rng.uniform(0.35, 0.7) * canvas.height
    reach = 0.25 * min(canvas.width, canvas.height)
    color = colors[int(rng.integers(1, 4))]
    for part in range(int(rng.integers(3, 8))):
        at = center[0] + rng.normal(0, reach * 0.5), center[1] + rng.normal(0, reach * 0.5)
        radii = reach * rng.uniform(0.2, 0.8), reach * rng.uniform(0.2, 0.8)
        canvas.ellipse(at, radii, scale(color, rng.uniform(0.6, 1.3)), rng.uniform(0, 180))
        if part == 0:
            canvas.ellipse((at[0] - reach * 0.1, at[1]), (reach * 0.06, reach * 0.06), BLACK)


def _window(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    x, y = rng.uniform(0.1, 0.5) * canvas.width, rng.uniform(0.1, 0.5) * canvas.height
    size = canvas.width * rng.uniform(0.25, 0.5), canvas.height * rng.uniform(0.2, 0.45)
    piece = Canvas(Grid(*size, canvas.grid.density), colors[1])
    grounds.photograph(rng, piece, palette(rng))
    canvas.paste(piece.pixels, x, y)


def _corner(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """A diagonal cut in another colour: the two-tone print that tempts a model to split an object."""
    w, h = canvas.width, canvas.height
    cut = rng.uniform(0.3, 1.6)
    triangle = [(0.0, h), (w * min(1.0, cut), h), (0.0, h * max(0.0, 1 - cut))]
    mirror = rng.random() < 0.5
    canvas.polygon(
        [(w - x if mirror else x, y) for x, y in triangle], colors[int(rng.integers(1, 5))]
    )


def _icons(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    count, radius = (
        int(rng.integers(3, 6)),
        min(canvas.width, canvas.height) * rng.uniform(0.03, 0.06),
    )
    y = rng.uniform(0.6, 0.92) * canvas.height
    for icon in range(count):
        canvas.ellipse(
            ((icon + 0.7) * canvas.width / (count + 0.5), y), (radius, radius), colors[4]
        )


def _drops(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    for _ in range(int(rng.integers(4, 25))):
        radius = rng.uniform(0.01, 0.07) * min(canvas.width, canvas.height)
        at = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
        canvas.ellipse(
            at, (radius, radius * rng.uniform(0.6, 1.6)), colors[int(rng.integers(1, 5))]
        )


_MOTIFS: tuple[_Part, ...] = (
    _band, _badge, _frame, _star, _portrait, _window, _corner, _icons, _drops,
)  # fmt: skip


# ---- headlines ------------------------------------------------------------------------------------


def _ink(rng: np.random.Generator, colors: list[Color], size_cm: float) -> Ink:
    color = contrasting(colors[0]) if rng.random() < 0.7 else colors[int(rng.integers(1, 5))]
    if abs(luma(color) - luma(colors[0])) < 35:
        color = contrasting(colors[0])
    return Ink(size_cm, color, display_face(rng), float(rng.choice([1.0, 1.0, 0.8, 1.25])))


def _stacked(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    size = float(np.clip(canvas.width / rng.uniform(4, 9), 0.5, 5.5))
    x, y = rng.uniform(0.04, 0.2) * canvas.width, rng.uniform(0.05, 0.5) * canvas.height
    ink = _ink(rng, colors, size)
    for _ in range(int(rng.integers(1, 4))):
        write(
            canvas,
            phrase(rng, int(rng.integers(1, 4))),
            (x, y),
            Ink(size, ink.color, ink.face, ink.stretch),
        )
        y += size * 1.15
        size = max(0.5, size * rng.uniform(0.5, 1))


def _giant(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    size = float(np.clip(canvas.width / rng.uniform(1.8, 3.5), 0.8, 9))
    at = rng.uniform(0, 0.15) * canvas.width, rng.uniform(0.1, 0.5) * canvas.height
    write(canvas, phrase(rng, 1), at, _ink(rng, colors, size))


def _banner(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    height = float(np.clip(canvas.height * rng.uniform(0.12, 0.25), 0.6, 5))
    y, color = rng.uniform(0.02, 0.8) * canvas.height, colors[int(rng.integers(1, 5))]
    canvas.rectangle(0, y, canvas.width, height, color)
    ink = Ink(height * 0.62, contrasting(color), display_face(rng))
    write(
        canvas, phrase(rng, int(rng.integers(1, 4))), (canvas.width * 0.06, y + height * 0.2), ink
    )


def _spine_up(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    ink = _ink(rng, colors, float(np.clip(canvas.width / rng.uniform(4, 7), 0.5, 5)))
    upright = Ink(ink.size_cm, ink.color, ink.face, ink.stretch, upright=True)
    write(
        canvas,
        phrase(rng, 2),
        (rng.uniform(0.05, 0.6) * canvas.width, 0.05 * canvas.height),
        upright,
    )


def _repeated(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """A brand printed all over, as on mailers and wrapping."""
    ink = _ink(rng, colors, rng.uniform(0.6, 1.6))
    text, pitch = phrase(rng, 1), ink.size_cm * rng.uniform(2, 4)
    for row in range(min(14, int(canvas.height / pitch) + 1)):
        for column in range(min(8, int(canvas.width / (pitch * 2)) + 1)):
            write(canvas, text, (column * pitch * 2 + (row % 2) * pitch, row * pitch), ink)


_HEADLINES: tuple[_Part, ...] = (_stacked, _stacked, _giant, _banner, _spine_up, _repeated)


# ---- small print ----------------------------------------------------------------------------------


def _text_block(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    ink = Ink(rng.uniform(0.3, 0.7), contrasting(colors[0]), plain_face(rng))
    w, h = canvas.width, canvas.height
    box = rng.uniform(0.05, 0.3) * w, rng.uniform(0.5, 0.8) * h, w * rng.uniform(0.4, 0.8), h * 0.2
    paragraph(rng, canvas, box, ink)


def _facts(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    width = min(6.0, canvas.width * rng.uniform(0.3, 0.5))
    facts_table(
        rng,
        canvas,
        canvas.width * rng.uniform(0.05, 0.6),
        canvas.height * rng.uniform(0.1, 0.5),
        width,
    )


def _code(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    width = min(4.5, canvas.width * 0.35)
    at = rng.uniform(0.05, 0.6) * canvas.width, rng.uniform(0.6, 0.8) * canvas.height
    barcode(rng, canvas, (*at, width, width * 0.45))


def _claims(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    ink = Ink(rng.uniform(0.4, 1.0), contrasting(colors[0]), plain_face(rng))
    x, y = canvas.width * rng.uniform(0.05, 0.5), canvas.height * rng.uniform(0.45, 0.75)
    for line in range(int(rng.integers(2, 6))):
        top = y + line * ink.size_cm * 1.5
        canvas.ellipse((x, top + ink.size_cm * 0.4), (ink.size_cm * 0.2,) * 2, ink.color)
        write(canvas, phrase(rng, 2), (x + ink.size_cm, top), ink)


def _paper_panel(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    w, h = canvas.width, canvas.height
    x, y, width, height = rng.uniform(0, 0.5) * w, rng.uniform(0.5, 0.75) * h, w * 0.45, h * 0.2
    canvas.rectangle(x, y, width, height, WHITE)
    paragraph(
        rng, canvas, (x + 0.2, y + 0.2, width * 0.9, height), Ink(0.45, BLACK, plain_face(rng))
    )


def _nothing(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """Leave the front as it is."""


_SMALL_PRINT: tuple[_Part, ...] = (
    _text_block,
    _text_block,
    _facts,
    _code,
    _claims,
    _paper_panel,
    _nothing,
)
