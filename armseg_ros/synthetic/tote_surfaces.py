# SPDX-License-Identifier: Apache-2.0
"""The tote's floor, walls, buttresses and rim as painted quadrilaterals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import SHAPE_DENSITY, FloatMap, Grid, blur, clouds, slopes
from armseg_ros.synthetic.lettering import Ink, phrase, plain_face, write
from armseg_ros.synthetic.palette import scale
from armseg_ros.synthetic.products import Paint
from armseg_ros.synthetic.tote import Tote

_Corners = npt.NDArray[np.float64]  # (4, 3) world cm, clockwise from upper left
_MAX_DENSITY = 12.0  # plain plastic needs no more pixels per cm than this


def tote_surfaces(tote: Tote, density: float) -> Iterator[tuple[_Corners, Paint]]:
    """Yield the floor, the walls with steps and buttresses, and the rim, in drawing order."""
    rng = np.random.default_rng(tote.seed)
    density = min(density, _MAX_DENSITY)
    yield _level(tote.floor, 0), _floor(rng, tote, density)
    upper_inner, lower_outer, step = _wall_profile(tote)
    for side in range(4):
        yield from _wall(rng, tote, side, (tote.mouth, tote.height, upper_inner, step), density)
        if tote.ledge:
            shelf = _strip(upper_inner, step, lower_outer, step, side)
            yield shelf, _skin_paint(rng, tote, shelf, density, 1.12)
            yield from _wall(rng, tote, side, (lower_outer, step, tote.floor, 0.0), density)
        yield from _buttresses(rng, tote, side, density)
    yield _level(tote.rim, tote.height), _rim(rng, tote, density)


def _wall_profile(tote: Tote) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return the half sizes above and below the step, and the step's height."""
    if not tote.ledge:
        return tote.floor, tote.floor, 0.0
    step = tote.ledge * tote.height
    below = tuple(
        m + (f - m) * (1 - tote.ledge) for m, f in zip(tote.mouth, tote.floor, strict=True)
    )
    above = tuple(min(m, b + tote.ledge_cm) for m, b in zip(tote.mouth, below, strict=True))
    return (above[0], above[1]), (below[0], below[1]), step


def _level(half: tuple[float, float], z: float) -> _Corners:
    a, b = half
    return np.array([[-a, -b, z], [a, -b, z], [a, b, z], [-a, b, z]])


def _strip(
    outer: tuple[float, float],
    z_outer: float,
    inner: tuple[float, float],
    z_inner: float,
    side: int,
) -> _Corners:
    """Return the quadrilateral of one side (0 top, then clockwise) between two level rectangles."""
    upper, lower = _level(outer, z_outer), _level(inner, z_inner)
    after = (side + 1) % 4
    return np.array([upper[side], upper[after], lower[after], lower[side]])


def _skin(rng: np.random.Generator, tote: Tote, grid: Grid) -> Canvas:
    """Return scuffed plastic in the tote's colour."""
    canvas = Canvas(grid, tote.color)
    canvas.shade(1 + 0.05 * clouds(rng, grid, 12, octaves=4))
    for _ in range(int(grid.width_cm * grid.height_cm * rng.uniform(0.01, 0.06)) + 3):
        start = rng.uniform(0, grid.width_cm), rng.uniform(0, grid.height_cm)
        end = start[0] + rng.normal(0, 3), start[1] + rng.normal(0, 3)
        canvas.polyline([start, end], scale(tote.color, rng.uniform(0.88, 1.13)), 0.08)
    return canvas


def _paint(
    rng: np.random.Generator, tote: Tote, canvas: Canvas, cover: FloatMap | None = None
) -> Paint:
    bumps = slopes(clouds(rng, canvas.grid, 6, octaves=3) * np.float32(0.09), canvas.grid.density)
    gloss = 0.25 if tote.color_name == "yellow" else 0.15
    return Paint(canvas.floats(), gloss, 0.3, cover=cover, sparkle=bumps)


def _skin_paint(
    rng: np.random.Generator, tote: Tote, corners: _Corners, density: float, tone: float
) -> Paint:
    canvas = _skin(rng, tote, _grid_of(corners, density))
    canvas.shade(float(tone))
    return _paint(rng, tote, canvas)


def _grid_of(corners: _Corners, density: float) -> Grid:
    width = float(np.linalg.norm(corners[1] - corners[0]))
    height = float(np.linalg.norm(corners[3] - corners[0]))
    return Grid(max(0.5, width), max(0.5, height), density)


def _floor(rng: np.random.Generator, tote: Tote, density: float) -> Paint:
    canvas = _skin(rng, tote, _grid_of(_level(tote.floor, 0), density))
    kind = rng.random()
    if kind < 0.5:  # drain holes
        columns, rows = int(rng.integers(4, 8)), int(rng.integers(2, 4))
        for column in range(columns):
            for row in range(rows):
                at = (column + 0.5) / columns * canvas.width, (row + 0.5) / rows * canvas.height
                canvas.ellipse(at, (0.45, 0.45), (12.0, 10.0, 10.0))
    elif kind < 0.75:  # raised panel
        inset = rng.uniform(2, 5)
        size = canvas.width - 2 * inset, canvas.height - 2 * inset
        canvas.rectangle(
            (inset, inset, *size), scale(tote.color, rng.uniform(0.6, 0.85)), line_cm=0.3
        )
    return _paint(rng, tote, canvas)


def _wall(
    rng: np.random.Generator, tote: Tote, side: int,
    profile: tuple[tuple[float, float], float, tuple[float, float], float], density: float,
) -> Iterator[tuple[_Corners, Paint]]:  # fmt: skip
    corners = _strip(*profile, side)
    canvas = _skin(rng, tote, _grid_of(corners, density))
    fade = np.linspace(1.1, 0.75, canvas.grid.shape[0], dtype=np.float32)[:, None]
    canvas.shade(np.broadcast_to(fade, canvas.grid.shape).copy())
    upper = profile[1] == tote.height
    if upper and tote.ribs:
        _pockets(rng, tote, canvas)
    elif upper and rng.random() < 0.6:
        ink = Ink(1.0, scale(tote.color, 0.6), plain_face(rng))
        write(canvas, phrase(rng, 1).upper(), (canvas.width * rng.uniform(0.1, 0.8), 2.0), ink)
    yield corners, _paint(rng, tote, canvas)


def _pockets(rng: np.random.Generator, tote: Tote, canvas: Canvas) -> None:
    """Paint the recesses below the rim, with a lit lower lip."""
    dark, half = rng.uniform(0.35, 0.8), canvas.width * rng.uniform(0.03, 0.06)
    top, bottom = canvas.height * 0.12, canvas.height * 0.34
    for share in (0.25, 0.5, 0.75):
        x = canvas.width * share
        canvas.rectangle((x - half, top, 2 * half, bottom - top), scale(tote.color, dark))
        canvas.rectangle((x - half, bottom - 0.2, 2 * half, 0.25), scale(tote.color, 1.2))


def _buttresses(
    rng: np.random.Generator, tote: Tote, side: int, density: float
) -> Iterator[tuple[_Corners, Paint]]:
    """Yield ribs that stand out of the wall: front, two flanks, a sloping top."""
    if not tote.ribs:
        return
    half, top = rng.uniform(0.5, 2.6), tote.height * rng.uniform(0.6, 0.95)
    plain = Canvas(Grid(1, 1, density), tote.color)
    lit, dim = scale(tote.color, 1.12), scale(tote.color, 0.8)
    for share in np.linspace(0.06, 0.94, tote.ribs):
        front, left, right, cap = _rib(tote, side, float(share), (tote.rib_cm, half, top))
        yield front, Paint(plain.floats(), 0.15, 0.3)
        for flank, color in ((left, dim), (right, dim), (cap, lit)):
            yield flank, Paint(Canvas(Grid(1, 1, density), color).floats(), 0.1, 0.3)


def _rib(
    tote: Tote, side: int, share: float, size: tuple[float, float, float]
) -> tuple[_Corners, _Corners, _Corners, _Corners]:
    depth, half, top = size
    wall = _strip(tote.mouth, tote.height, tote.floor, 0, side)
    along = (wall[1] - wall[0]) / np.linalg.norm(wall[1] - wall[0])
    inward = -np.array([wall[:2, 0].mean(), wall[:2, 1].mean(), 0.0])
    inward /= np.linalg.norm(inward)
    head = wall[0] + (wall[1] - wall[0]) * share
    foot = wall[3] + (wall[2] - wall[3]) * share
    head = foot + (head - foot) * (top / tote.height)
    a, b = head + inward * depth - [0, 0, depth], foot + inward * depth
    left, right = -along * half, along * half
    front = np.array([a + left, a + right, b + right, b + left])
    flanks = [np.array([head + edge, a + edge, b + edge, foot + edge]) for edge in (left, right)]
    cap = np.array([head + left, head + right, a + right, a + left])
    return front, flanks[0], flanks[1], cap


def _rim(rng: np.random.Generator, tote: Tote, density: float) -> Paint:
    """Return the rim: grooves, lugs, slots, hand holds, round corners; its middle is open."""
    canvas = _skin(rng, tote, _grid_of(_level(tote.rim, tote.height), density))
    edge, w, h = tote.rim[0] - tote.mouth[0], canvas.width, canvas.height
    for _ in range(2):
        inset, tone = edge * rng.uniform(0.25, 0.8), scale(tote.color, rng.uniform(0.5, 1.3))
        canvas.rectangle((inset, inset, w - 2 * inset, h - 2 * inset), tone, line_cm=0.25)
    for _ in range(int(rng.integers(8, 40))):
        size = rng.uniform(0.3, 1.4), rng.uniform(0.2, 0.6)
        lengthwise, far = rng.random() < 0.5, rng.random() < 0.5
        x, y = rng.uniform(0, w), (h - edge / 2) if far else edge / 2
        if not lengthwise:
            x, y, size = (w - edge / 2) if far else edge / 2, rng.uniform(0, h), (size[1], size[0])
        tone = scale(tote.color, rng.uniform(0.1, 0.6))
        canvas.rectangle((x - size[0], y - size[1], 2 * size[0], 2 * size[1]), tone)
    return _paint(rng, tote, canvas, _rim_cover(rng, tote, edge))


def _rim_cover(rng: np.random.Generator, tote: Tote, edge: float) -> FloatMap:
    grid = Grid(2 * tote.rim[0], 2 * tote.rim[1], SHAPE_DENSITY)
    rows, columns = grid.shape
    thick = math.ceil(edge * SHAPE_DENSITY) + 1  # laps over the walls: no gap between
    cover = np.zeros(grid.shape, np.uint8)
    radius = max(1, round(edge * 0.9 * SHAPE_DENSITY))
    cv2.rectangle(cover, (radius, radius), (columns - 1 - radius, rows - 1 - radius), 1, -1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    cover = np.asarray(cv2.dilate(cover, disc), np.uint8)
    cover[thick : rows - thick, thick : columns - thick] = 0
    if rng.random() < (0.7 if tote.color_name == "yellow" else 0.2):  # hand holds
        slot = np.s_[int(rows * 0.37) : int(rows * 0.63)]
        cover[slot, thick // 4 : max(thick // 4 + 1, int(thick * 0.8))] = 0
        cover[slot, columns - int(thick * 0.8) : columns - thick // 4] = 0
    return blur(cover, 0.6)
