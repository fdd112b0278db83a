# SPDX-License-Identifier: Apache-2.0
"""The heap in the tote: a height map that products come to rest on.

Each product lies on the facet that supports it under its centroid: of all planes that nowhere cut
into the heap, the one that lets its centre sink lowest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.grid import FloatMap, as_float

_CELLS_PER_CM = 2.0
_OVERFILL_CM = 4.0  # how far goods may rise over the rim
_Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a product's bottom plane lies: centre, unit axes along length, width and up."""

    center: _Vector
    along: _Vector
    across: _Vector
    up: _Vector
    angle: float  # of its length in the plane of the floor, radians


class Heap:
    """Heights in cm over the tote's floor, half `half_width` x `half_depth` cm from its centre."""

    def __init__(self, half_width: float, half_depth: float, rim_height: float) -> None:
        self.half = (half_width, half_depth)
        self.rim_height = rim_height
        rows, columns = (int(2 * half * _CELLS_PER_CM) for half in (half_depth, half_width))
        self._heights: FloatMap = np.zeros((rows, columns), np.float32)
        self._widened: FloatMap = self._heights

    def height_at(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> FloatMap:
        """Return the heap's height at world positions, a little widened so nothing sinks in."""
        rows, columns = self._heights.shape
        row = ((y + self.half[1]) * _CELLS_PER_CM).astype(int).clip(0, rows - 1)
        column = ((x + self.half[0]) * _CELLS_PER_CM).astype(int).clip(0, columns - 1)
        return as_float(self._widened[row, column])

    def find_pose(
        self, rng: np.random.Generator, size: tuple[float, float, float], near: Pose | None = None
    ) -> Pose | None:
        """Find a low place for a body of `size` (length, width, height in cm).

        Args:
            rng: source of the tries.
            size: of the body.
            near: the pose of its twin, beside or on which to lie; None: anywhere.

        Returns:
            The lowest of five tries, or None where it would rise too far over the rim.
        """
        best: tuple[float, Pose] | None = None
        for _ in range(5):
            x, y, angle = self._try(rng, size, near)
            standing = size[2] > 2 * size[1]  # books on edge cannot lie askew
            x, y, height, tilt = self._rest(x, y, angle, size, 0.06 if standing else 0.45)
            rank = height + rng.uniform(0, 3)
            if height + size[2] <= self.rim_height + _OVERFILL_CM and (
                best is None or rank < best[0]
            ):
                best = rank, _pose(x, y, height, tilt, angle)
        return best[1] if best else None

    def _try(
        self, rng: np.random.Generator, size: tuple[float, float, float], near: Pose | None
    ) -> tuple[float, float, float]:
        _, width, height = size
        if near is not None:
            return _beside(rng, size, near)
        x, y = rng.uniform(-1, 1) * self.half[0], rng.uniform(-1, 1) * self.half[1]
        if height > 2 * width:  # leans against a wall
            if rng.random() < 0.5:
                return x, float(rng.choice([-1, 1])) * self.half[1], rng.normal(0, 0.02)
            return float(rng.choice([-1, 1])) * self.half[0], y, np.pi / 2 + rng.normal(0, 0.02)
        if rng.random() < 0.5:
            return x, y, float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.12)
        return x, y, rng.uniform(0, 2 * np.pi)

    def _rest(
        self, x: float, y: float, angle: float, size: tuple[float, float, float], steepest: float
    ) -> tuple[float, float, float, tuple[float, float]]:
        """Return x, y kept inside, the centre's height and the resting plane's two slopes."""
        length, width, _ = size
        cos, sin = np.cos(angle), np.sin(angle)
        reach = (
            abs(cos) * length / 2 + abs(sin) * width / 2,
            abs(sin) * length / 2 + abs(cos) * width / 2,
        )
        x, y = (
            _inside(at, half, span) for at, half, span in zip((x, y), self.half, reach, strict=True)
        )
        u, v = np.meshgrid(np.linspace(-0.5, 0.5, 17) * length, np.linspace(-0.5, 0.5, 13) * width)
        dx, dy = (cos * u - sin * v).ravel(), (sin * u + cos * v).ravel()
        heights = self.height_at(x + dx, y + dy).astype(np.float64)
        slope, reach_slope, height = (0.0, 0.0), steepest, 0.0
        for _ in range(4):  # coarse to fine over both slopes
            steps = np.linspace(-reach_slope, reach_slope, 9)
            a, b = (grid.ravel() for grid in np.meshgrid(slope[0] + steps, slope[1] + steps))
            lift = (heights[None] - a[:, None] * dx - b[:, None] * dy).max(1) + 0.02 * (
                a * a + b * b
            )
            best = int(lift.argmin())
            slope, height = (float(a[best]), float(b[best])), float(lift[best])
            reach_slope /= 4
        return x, y, height, slope

    def add(
        self, corners: _Vector, cover: FloatMap | None = None, body: FloatMap | None = None
    ) -> None:
        """Raise the heap by a placed body.

        Args:
            corners: (4, 3) world corners of its upper plane (a box) or of its sheet.
            cover: where > 0.5 the sheet exists, on a grid over the corners; None: everywhere.
            body: heights in cm over the sheet's plane on the same grid; None: 0.
        """
        points = ((corners[:, :2] + self.half) * _CELLS_PER_CM).astype(np.float32)
        inside = np.zeros(self._heights.shape, np.uint8)
        cv2.fillConvexPoly(inside, np.round(points).astype(np.int32), 1)
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        if abs(normal[2]) < 1e-6:
            return
        rows, columns = self._heights.shape
        x = np.arange(columns)[None] / _CELLS_PER_CM - self.half[0] - corners[0, 0]
        y = np.arange(rows)[:, None] / _CELLS_PER_CM - self.half[1] - corners[0, 1]
        level = corners[0, 2] - (normal[0] * x + normal[1] * y) / normal[2]
        if cover is not None and body is not None:
            h, w = cover.shape
            frame = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
            to_heap = cv2.getPerspectiveTransform(frame, points)
            warped = cv2.warpPerspective(np.dstack([cover, body]), to_heap, (columns, rows))
            inside &= (warped[..., 0] > 0.5).astype(np.uint8)
            level = level + warped[..., 1]
        raised = np.where(inside > 0, np.maximum(self._heights, level), self._heights)
        self._heights = raised.astype(np.float32)
        self._widened = np.asarray(cv2.dilate(self._heights, np.ones((3, 3), np.uint8)), np.float32)


def _beside(
    rng: np.random.Generator, size: tuple[float, float, float], near: Pose
) -> tuple[float, float, float]:
    """Return a place in line with a twin, or carelessly half on it."""
    if rng.random() < 0.5:
        side, gap = rng.choice([-1, 1]), rng.uniform(0.0, 0.6)
        step = near.across * side * (size[1] + gap)
        if rng.random() < 0.3:
            step = near.along * side * (size[0] + gap)
        return near.center[0] + step[0], near.center[1] + step[1], near.angle + rng.normal(0, 0.03)
    x = near.center[0] + rng.normal(0, size[0] * 0.5)
    y = near.center[1] + rng.normal(0, size[1] * 0.5)
    turned = near.angle + rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
    return x, y, turned


def _inside(at: float, half: float, reach: float) -> float:
    return float(np.clip(at, reach - half, half - reach)) if reach < half else 0.0


def _pose(x: float, y: float, height: float, slope: tuple[float, float], angle: float) -> Pose:
    up = np.array([-slope[0], -slope[1], 1.0])
    up /= np.linalg.norm(up)
    along = np.array([np.cos(angle), np.sin(angle), 0.0])
    along -= up * (up @ along)
    along /= np.linalg.norm(along)
    return Pose(np.array([x, y, height]), along, np.cross(up, along), up, angle)
