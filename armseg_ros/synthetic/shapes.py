# SPDX-License-Identifier: Apache-2.0
"""Outlines, thickness and wrinkles of flat goods."""

from __future__ import annotations

import cv2
import numpy as np

from armseg_ros.synthetic.grid import FloatMap, Grid, blur, clouds, creases, resize, slopes


def rounded(rng: np.random.Generator, grid: Grid, wobble_cm: float) -> FloatMap:
    """Return the soft-edged cover 0..1 of a rectangle with round corners and a wavy outline."""
    x, y = grid.coordinates_cm()
    half_width, half_height = grid.width_cm / 2, grid.height_cm / 2
    inset = wobble_cm * 1.2
    radius = min(half_width, half_height) * rng.uniform(0.04, 0.24)
    over_x = np.abs(x - half_width) - (half_width - inset - radius)
    over_y = np.abs(y - half_height) - (half_height - inset - radius)
    outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0)) - radius
    distance = outside + np.minimum(np.maximum(over_x, over_y), 0)
    if wobble_cm > 0:
        distance = distance + wobble_cm * clouds(rng, grid, 4.6, octaves=3)
    return np.asarray((0.5 - distance * grid.density).clip(0, 1), np.float32)


def pillow(cover: FloatMap, density: float, height_cm: float, edge_cm: float) -> FloatMap:
    """Return heights that rise from the outline in a quarter circle to `height_cm`."""
    inside = np.zeros((cover.shape[0] + 2, cover.shape[1] + 2), np.uint8)
    inside[1:-1, 1:-1] = cover > 0.5
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = (distance / max(1e-3, edge_cm * density)).clip(0, 1)
    return np.asarray(height_cm * np.sqrt(1 - (1 - share) ** 2), np.float32)


def wrinkles(rng: np.random.Generator, grid: Grid, gain: float) -> FloatMap:
    """Return the slopes of wrinkled film: broad facets for large glints, and fine creases."""
    stretch = rng.uniform(0.5, 2)
    wide = Grid(grid.width_cm * stretch, grid.height_cm, grid.density)
    facets = resize(clouds(rng, wide, rng.uniform(4, 10), octaves=3, gain=0.55), grid.shape)
    film = (
        facets * rng.uniform(0.25, 0.6) + creases(rng, grid, rng.uniform(3.5, 10), octaves=2) * 0.18
    )
    return slopes(blur(np.asarray(film, np.float32), 0.06 * grid.density), grid.density, gain)


def fold_lines(rng: np.random.Generator, grid: Grid, count: int) -> FloatMap:
    """Return ridges (height 0..1) along straight lines, as film keeps where it was folded."""
    x, y = grid.coordinates_cm()
    ridges = grid.zeros()
    for _ in range(count):
        angle = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.15)
        middle = rng.uniform(0.1, 0.9) * grid.width_cm, rng.uniform(0.1, 0.9) * grid.height_cm
        distance = (x - middle[0]) * np.float32(np.cos(angle)) + (y - middle[1]) * np.float32(
            np.sin(angle)
        )
        ridges = np.maximum(ridges, np.exp(-((distance / 0.18) ** 2)).astype(np.float32))
    return ridges
