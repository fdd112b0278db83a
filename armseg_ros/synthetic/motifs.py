# SPDX-License-Identifier: Apache-2.0
"""Motifs on printed fronts: bands, badges, stars, mascots, windows, icons."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic import grounds
from armseg_ros.synthetic.canvas import Canvas, Color, Layer
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.palette import BLACK, palette, scale


def _band(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    color, share = colors[int(rng.integers(1, 5))], rng.uniform(0.06, 0.3)
    if rng.random() < 0.7:
        canvas.rectangle(
            (0, rng.uniform(0, 0.85) * canvas.height, canvas.width, share * canvas.height), color
        )
    else:
        canvas.rectangle(
            (rng.uniform(0, 0.85) * canvas.width, 0, share * canvas.width, canvas.height), color
        )


def _badge(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    at = rng.uniform(0.2, 0.8) * canvas.width, rng.uniform(0.2, 0.8) * canvas.height
    radii = canvas.width * rng.uniform(0.1, 0.3), canvas.height * rng.uniform(0.07, 0.2)
    angle = rng.uniform(-25, 25)
    canvas.ellipse(at, radii, colors[2], angle_deg=angle)
    if rng.random() < 0.5:
        canvas.ellipse(
            at, (radii[0] * 0.9, radii[1] * 0.9), colors[4], angle_deg=angle, line_cm=0.12
        )


def _frame(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    margin = rng.uniform(0.03, 0.1) * min(canvas.width, canvas.height)
    size = canvas.width - 2 * margin, canvas.height - 2 * margin
    canvas.rectangle(
        (margin, margin, *size), colors[int(rng.integers(1, 5))], line_cm=rng.uniform(0.1, 0.5)
    )


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
        canvas.ellipse(
            at, radii, scale(color, rng.uniform(0.6, 1.3)), angle_deg=rng.uniform(0, 180)
        )
        if part == 0:
            canvas.ellipse((at[0] - reach * 0.1, at[1]), (reach * 0.06, reach * 0.06), BLACK)


def _window(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    x, y = rng.uniform(0.1, 0.5) * canvas.width, rng.uniform(0.1, 0.5) * canvas.height
    size = canvas.width * rng.uniform(0.25, 0.5), canvas.height * rng.uniform(0.2, 0.45)
    piece = Canvas(Grid(*size, canvas.grid.density), colors[1])
    grounds.photograph(rng, piece, palette(rng))
    canvas.paste(piece.pixels, x, y)


def _corner(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """A diagonal cut in another colour: two-tone print that tempts a model to split it."""
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


MOTIFS: tuple[Layer, ...] = (
    _band, _badge, _frame, _star, _portrait, _window, _corner, _icons, _drops,
)  # fmt: skip
