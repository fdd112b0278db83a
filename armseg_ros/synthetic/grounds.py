# SPDX-License-Identifier: Apache-2.0
"""Grounds of printed fronts: plain, graded, patterned, photographic, foil."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.canvas import Canvas, Color, Layer
from armseg_ros.synthetic.grid import FloatMap, clouds
from armseg_ros.synthetic.palette import mix, scale


def paint_ground(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """Paint the whole sheet with one of the grounds; `colors` is a palette of five."""
    _GROUNDS[int(rng.integers(len(_GROUNDS)))](rng, canvas, colors)


def photograph(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """Paint a photograph seen from afar: a field of palette colours with shaded bodies."""
    cell, gain = rng.uniform(3, 15), rng.uniform(0.3, 0.55)
    field = clouds(rng, canvas.grid, cell, octaves=5, gain=gain)
    _map_colors(canvas, np.clip((field + 1.5) / 3, 0, 1), colors[:4])
    x, y = canvas.grid.coordinates_cm()
    for _ in range(int(rng.integers(0, 6))):
        cx, cy = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
        radius, stretch = (
            rng.uniform(0.06, 0.3) * min(canvas.width, canvas.height),
            rng.uniform(0.5, 2),
        )
        color = np.array(colors[int(rng.integers(4))], np.float32)
        distance = ((x - cx) ** 2 * stretch + (y - cy) ** 2 / stretch) / radius**2
        light = (1.1 - 0.6 * distance - 0.15 * (x - cx + y - cy) / radius).clip(0.2, 1.4)
        body = (light[..., None] * color).clip(0, 255).astype(np.uint8)
        np.copyto(canvas.pixels, body, where=(distance < 1)[..., None])


def _map_colors(canvas: Canvas, share: FloatMap, colors: list[Color]) -> None:
    """Colour the sheet by `share` (0..1) along the line through `colors`."""
    stops = np.asarray(colors, np.float32)
    ramp = np.linspace(0, len(colors) - 1, 256, dtype=np.float32)
    low = np.minimum(ramp.astype(int), len(colors) - 2)
    table = stops[low] + (stops[low + 1] - stops[low]) * (ramp - low)[:, None]
    canvas.pixels[:] = table.astype(np.uint8)[(share * 255).astype(np.uint8)]


def _direction(rng: np.random.Generator, canvas: Canvas) -> FloatMap:
    """Return the cm along a random direction of the sheet, (rows, columns)."""
    angle = rng.uniform(0, np.pi)
    x, y = canvas.grid.coordinates_cm()
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    return np.asarray(along, np.float32)


def _plain(_rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    canvas.rectangle((0, 0, canvas.width, canvas.height), colors[0])


def _graded(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    along = _direction(rng, canvas)
    share = (along - along.min()) / (np.ptp(along) + 1e-6)
    _map_colors(canvas, np.asarray(share, np.float32), colors[:2])


def _stripes(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    pitch, share = rng.uniform(0.5, 3.2), rng.uniform(0.2, 0.8)
    phase = np.mod(_direction(rng, canvas) / pitch, 1)
    np.copyto(canvas.pixels, np.array(colors[1], np.uint8), where=(phase < share)[..., None])


def _checks(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    pitch = rng.uniform(0.8, 4)
    x, y = canvas.grid.coordinates_cm()
    odd = ((x // pitch).astype(int) + (y // pitch).astype(int)) % 2 == 1
    np.copyto(canvas.pixels, np.array(colors[1], np.uint8), where=odd[..., None])


def _dots(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    for _ in range(int(rng.integers(5, 40))):
        radius = rng.uniform(0.03, 0.2) * min(canvas.width, canvas.height)
        at = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
        line = 0.0 if rng.random() < 0.7 else 0.2
        canvas.ellipse(at, (radius, radius), colors[int(rng.integers(1, 4))], line_cm=line)


def _shards(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    for _ in range(int(rng.integers(1, 9))):
        corners = rng.uniform(-0.2, 1.2, (3, 2)) * [canvas.width, canvas.height]
        canvas.polygon([(float(x), float(y)) for x, y in corners], colors[int(rng.integers(1, 4))])


def _halves(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """Two halves, one a photograph or a plain colour: one object that looks like two."""
    cut, upright, plain = rng.uniform(0.2, 0.8), rng.random() < 0.5, rng.random() < 0.5
    other = Canvas(canvas.grid, colors[1])
    if not plain:
        photograph(rng, other, colors)
    rows, columns = canvas.grid.shape
    if upright:
        canvas.pixels[: int(rows * cut)] = other.pixels[: int(rows * cut)]
    else:
        canvas.pixels[:, int(columns * cut) :] = other.pixels[:, int(columns * cut) :]


def _diagonal(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    w, h = canvas.width, canvas.height
    canvas.polygon(
        [(0, 0), (w, 0), (0, h)] if rng.random() < 0.5 else [(0, 0), (w, 0), (w, h)], colors[1]
    )


def _waves(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    x = np.linspace(0, canvas.width, 24)
    for layer in range(int(rng.integers(2, 6))):
        level = rng.uniform(0.2, 1) * canvas.height
        crest = level + np.sin(x * rng.uniform(0.2, 1.2) + rng.uniform(0, 6)) * rng.uniform(
            0.2, 1.5
        )
        outline = [(float(a), float(b)) for a, b in zip(x, crest, strict=True)]
        outline += [(canvas.width, canvas.height), (0.0, canvas.height)]
        canvas.polygon(outline, colors[1 + layer % 3])


def _burst(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    cx, cy = rng.uniform(0.2, 0.8) * canvas.width, rng.uniform(0.2, 0.8) * canvas.height
    rays, reach = int(rng.integers(6, 20)), canvas.width + canvas.height
    for ray in range(rays):
        start, stop = (2 * np.pi * (ray + part) / rays for part in (0.0, 0.5))
        edge = [
            (cx + reach * float(np.cos(a)), cy + reach * float(np.sin(a))) for a in (start, stop)
        ]
        canvas.polygon([(cx, cy), *edge], mix(colors[0], colors[1], 0.7))


def _marble(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    bend = clouds(rng, canvas.grid, rng.uniform(2, 6), octaves=4)
    share = 0.5 + 0.5 * np.sin(_direction(rng, canvas) * rng.uniform(0.5, 2) + bend * 3)
    _map_colors(canvas, np.asarray(share, np.float32), colors[:3])


def _foil(rng: np.random.Generator, canvas: Canvas, colors: list[Color]) -> None:
    """Gold, copper or silver foil: one colour in soft bright and dark bands."""
    metals: list[Color] = [(70, 170, 215), (90, 130, 195), (190, 190, 190), colors[1]]
    metal = metals[int(rng.integers(4))]
    share = 0.5 + 0.5 * np.sin(_direction(rng, canvas) * rng.uniform(0.2, 0.8) + rng.uniform(0, 6))
    _map_colors(
        canvas, np.asarray(share, np.float32), [scale(metal, 0.55), metal, scale(metal, 1.3)]
    )


_GROUNDS: tuple[Layer, ...] = (
    _plain, _plain, _graded, photograph, photograph, _stripes, _checks, _dots, _shards, _halves,
    _diagonal,
    _waves, _burst, _marble, _foil,
)  # fmt: skip
