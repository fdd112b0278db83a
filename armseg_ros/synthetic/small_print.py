# SPDX-License-Identifier: Apache-2.0
"""Small print on fronts: text, facts, bar codes, claims, a paper panel, or nothing."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.canvas import Canvas, Color, Layer
from armseg_ros.synthetic.labels import barcode, facts_table, paragraph
from armseg_ros.synthetic.lettering import Ink, phrase, plain_face, write
from armseg_ros.synthetic.palette import BLACK, WHITE, contrasting


def _text_block(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    ink = Ink(rng.uniform(0.3, 0.7), contrasting(colors[0]), plain_face(rng))
    w, h = canvas.width, canvas.height
    box = rng.uniform(0.05, 0.3) * w, rng.uniform(0.5, 0.8) * h, w * rng.uniform(0.4, 0.8), h * 0.2
    paragraph(rng, canvas, box, ink)


def _facts(rng: np.random.Generator, canvas: Canvas, _colors: list[Color]) -> None:
    width = min(6.0, canvas.width * rng.uniform(0.3, 0.5))
    facts_table(
        rng,
        canvas,
        canvas.width * rng.uniform(0.05, 0.6),
        canvas.height * rng.uniform(0.1, 0.5),
        width,
    )


def _code(rng: np.random.Generator, canvas: Canvas, _colors: list[Color]) -> None:
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


def _paper_panel(rng: np.random.Generator, canvas: Canvas, _colors: list[Color]) -> None:
    w, h = canvas.width, canvas.height
    x, y, width, height = rng.uniform(0, 0.5) * w, rng.uniform(0.5, 0.75) * h, w * 0.45, h * 0.2
    canvas.rectangle((x, y, width, height), WHITE)
    paragraph(
        rng, canvas, (x + 0.2, y + 0.2, width * 0.9, height), Ink(0.45, BLACK, plain_face(rng))
    )


def _nothing(_rng: np.random.Generator, _canvas: Canvas, _colors: list[Color]) -> None:
    """Leave the front as it is."""


SMALL_PRINT: tuple[Layer, ...] = (
    _text_block,
    _text_block,
    _facts,
    _code,
    _claims,
    _paper_panel,
    _nothing,
)
