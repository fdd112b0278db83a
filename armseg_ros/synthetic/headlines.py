# SPDX-License-Identifier: Apache-2.0
"""Headlines on printed fronts: how the big letters are laid out."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.canvas import Canvas, Color, Layer
from armseg_ros.synthetic.lettering import Ink, display_face, phrase, write
from armseg_ros.synthetic.palette import contrasting, luma


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
    canvas.rectangle((0, y, canvas.width, height), color)
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


HEADLINES: tuple[Layer, ...] = (_stacked, _stacked, _giant, _banner, _spine_up, _repeated)
