# SPDX-License-Identifier: Apache-2.0
"""The camera above the tote: where it is, where it looks, and how points fall on the picture.

World axes in cm: x right and y down in the picture, z up from the tote's floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.grid import FloatMap

_Vector = npt.NDArray[np.float64]
_SENSOR_ASPECT = 2448 / 2048  # the ARMBench camera's


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera; pictures of any size show the same view, wider ones more beside it."""

    position: _Vector  # (3,) cm
    axes: _Vector  # (3, 3) columns: right, down and backwards in world coordinates
    focal: float  # in widths of a 2448x2048 picture

    def focal_px(self, size: tuple[int, int]) -> float:
        """Return the focal length in pixels of a (width, height) picture."""
        return self.focal * min(size[0], size[1] * _SENSOR_ASPECT)

    def project(self, points: _Vector, size: tuple[int, int]) -> FloatMap:
        """Return the picture positions (n, 2) in pixels of world points (n, 3); x before y."""
        local = (np.asarray(points, np.float64) - self.position) @ self.axes
        scale = self.focal_px(size) / -local[:, 2]
        x, y = size[0] / 2 + local[:, 0] * scale, size[1] / 2 + local[:, 1] * scale
        return np.stack([x, y], 1).astype(np.float32)

    def rays(self, size: tuple[int, int]) -> tuple[FloatMap, FloatMap]:
        """Return how far x and y move per cm of descent along every pixel's ray, (H, W) each."""
        width, height = size
        focal = self.focal_px(size)
        x = ((np.arange(width) + 0.5 - width / 2) / focal)[None, :]
        y = ((np.arange(height) + 0.5 - height / 2) / focal)[:, None]
        axes = self.axes
        descent = -(axes[2, 0] * x + axes[2, 1] * y - axes[2, 2])
        ray_x = (axes[0, 0] * x + axes[0, 1] * y - axes[0, 2]) / descent
        ray_y = (axes[1, 0] * x + axes[1, 1] * y - axes[1, 2]) / descent
        return ray_x.astype(np.float32), ray_y.astype(np.float32)


def random_camera(rng: np.random.Generator, rim_half_width: float, rim_height: float) -> Camera:
    """Hang a camera 1.35 to 2 m up, tilted a little, the rim about as wide as the picture."""
    height = rng.uniform(135, 200)
    tilt_x, tilt_y, roll = np.radians(rng.normal(0, [1.4, 1.4, 0.9]))
    far = rng.random() < 0.12  # a station whose camera stands off and sees more of the floor
    shift = rng.normal(0, 0.8, 2) + (rng.normal(0, 5, 2) if far else 0)
    axes = _turn(0, tilt_x) @ _turn(1, tilt_y) @ _turn(2, roll)
    target = np.array([shift[0], shift[1], rim_height])
    position = target + axes[:, 2] * (height - rim_height)
    zoom = rng.uniform(0.9, 1.02) * (rng.uniform(0.75, 0.95) if far else 1.0)
    return Camera(position, axes, zoom * (height - rim_height) / (2 * rim_half_width))


def _turn(axis: int, angle: float) -> _Vector:
    first, second = [index for index in range(3) if index != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
