# SPDX-License-Identifier: Apache-2.0
"""A depth-buffered rasteriser of painted quadrilaterals, flat or with heights.

It fills one set of maps, colour, normals, gloss and instance number together, so the instance map
and the picture come from the same depth test.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.camera import Camera
from armseg_ros.synthetic.grid import FloatMap, as_float, slopes
from armseg_ros.synthetic.products import Paint

_Corners = npt.NDArray[np.float64]
_ABYSS_CM = -60.0  # below everything
# Later goods lie on top of earlier ones: they win a depth test that they lose by less than this,
# which keeps a box or a sheet free of specks of what it rests on.
BOX_LIFT_CM, SHEET_LIFT_CM, TOTE_LIFT_CM = 0.45, 1.6, 0.01
_EDGE_CM = 1.5  # a step of this height between neighbouring pixels is an edge
_FILM = 0.6  # surfaces less opaque than this keep most of the shape of what lies below


class Raster:
    """The maps of a (width, height) picture; every map is (H, W) or (H, W, 3), pixel for pixel."""

    def __init__(self, camera: Camera, size: tuple[int, int]) -> None:
        width, height = size
        self.camera, self.size = camera, size
        self.ray_x, self.ray_y = camera.rays(size)
        self.z: FloatMap = np.full((height, width), _ABYSS_CM, np.float32)
        self.ids: npt.NDArray[np.uint8] = np.zeros((height, width), np.uint8)
        self.color: FloatMap = np.zeros((height, width, 3), np.float32)
        self.normal: FloatMap = np.zeros((height, width, 3), np.float32)
        self.normal[..., 2] = 1
        self.mirror: FloatMap = self.normal.copy()
        self.gloss: FloatMap = np.zeros((height, width), np.float32)
        self.roughness: FloatMap = np.full((height, width), 0.3, np.float32)
        self.silhouette_px: dict[int, int] = {}  # pixels of each number if nothing hid any

    def draw(
        self,
        corners: _Corners,
        paint: Paint,
        number: int,
        lift_cm: float,
        heights: FloatMap | None = None,
    ) -> None:
        """Draw a surface where it is nearer to the camera than what is there.

        Args:
            corners: (4, 3) world cm of the paint's four corners, clockwise from upper left.
            paint: the look.
            number: what to write into `ids`.
            lift_cm: height by which the surface may lose the depth test and still be drawn.
            heights: cm over the quadrilateral, any density; None: flat.
        """
        normal = self._facing(corners)
        middle = 0.0 if heights is None else _middle_height(heights)
        spots = self.camera.project(corners + normal * middle, self.size)
        left, top = np.maximum(np.floor(spots.min(0)).astype(int) - 1, 0)
        right, bottom = np.minimum(np.ceil(spots.max(0)).astype(int) + 2, self.size)
        if right <= left or bottom <= top:
            return
        patch = _Patch(spots - (left, top), (int(right - left), int(bottom - top)))
        area = np.s_[top:bottom, left:right]
        inside = patch.inside()
        if paint.cover is not None:
            inside &= patch.warp(paint.cover) > 0.5
        z = self._plane_height(corners[0], normal, area)
        if heights is not None:
            z += patch.warp(heights) * np.float32(normal[2])
        self.silhouette_px[number] = self.silhouette_px.get(number, 0) + int(inside.sum())
        inside &= z > self.z[area] - lift_cm
        if inside.any():
            self._write(area, inside, z, patch, (corners, normal, paint, heights))
            self.ids[area][inside] = number

    def edges(self) -> npt.NDArray[np.bool_]:
        """Return (H, W) where the instance changes, or the depth jumps, within a pixel."""
        kernel = np.ones((3, 3), np.uint8)
        changes = cv2.dilate(self.ids, kernel) != cv2.erode(self.ids, kernel)
        jump = cv2.dilate(self.z, kernel) - cv2.erode(self.z, kernel)
        return np.asarray(changes | (jump > _EDGE_CM), np.bool_)

    def _facing(self, corners: _Corners) -> npt.NDArray[np.float64]:
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        normal /= np.linalg.norm(normal) + 1e-9
        return normal if normal @ (self.camera.position - corners.mean(0)) >= 0 else -normal

    def _plane_height(
        self,
        point: npt.NDArray[np.float64],
        normal: npt.NDArray[np.float64],
        area: tuple[slice, slice],
    ) -> FloatMap:
        """Return the height z at which each pixel's ray meets the plane."""
        position = self.camera.position
        n_x, n_y, n_z = (np.float32(part) for part in normal)
        fall = n_x * self.ray_x[area] + n_y * self.ray_y[area] - n_z
        fall = np.where(np.abs(fall) < 1e-4, np.float32(-1e-4), fall)
        return as_float(np.float32(position[2]) - np.float32(normal @ (point - position)) / fall)

    def _write(
        self, area: tuple[slice, slice], inside: npt.NDArray[np.bool_], z: FloatMap, patch: _Patch,
        surface: tuple[_Corners, npt.NDArray[np.float64], Paint, FloatMap | None],
    ) -> None:  # fmt: skip
        corners, flat, paint, heights = surface
        normal = np.broadcast_to(flat.astype(np.float32), (*z.shape, 3))
        if heights is not None:
            relief = slopes(_smooth(heights), _density(corners, heights)).clip(-1.5, 1.5)
            normal = _tilted(normal, patch.warp(relief), corners)
        mirror = (
            normal if paint.sparkle is None else _tilted(normal, patch.warp(paint.sparkle), corners)
        )
        color = patch.warp(paint.color)
        if paint.opacity is not None:
            opaque = patch.warp(paint.opacity)[..., None]
            color = color * opaque + self.color[area] * (1 - opaque)
            below = self.normal[area] * np.float32(0.6) + normal * np.float32(0.4)
            normal = np.where(opaque < _FILM, below, normal)
        for target, value in (
            (self.color, color),
            (self.normal, normal),
            (self.mirror, mirror),
            (self.z, z),
        ):
            np.copyto(target[area], value, where=inside[..., None] if value.ndim == 3 else inside)
        gloss = paint.gloss if isinstance(paint.gloss, float) else patch.warp(paint.gloss)
        np.copyto(self.gloss[area], np.float32(gloss), where=inside)
        np.copyto(self.roughness[area], np.float32(paint.roughness), where=inside)


class _Patch:
    """A quadrilateral in a window of the picture, and the warps of texture maps into it."""

    def __init__(self, spots: FloatMap, size: tuple[int, int]) -> None:
        self.spots, self.size = spots.astype(np.float32), size

    def inside(self) -> npt.NDArray[np.bool_]:
        """Return which pixels of the window the quadrilateral covers."""
        columns, rows = self.size
        x = np.arange(columns, dtype=np.float32)[None] + np.float32(0.5)
        y = np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5)
        edges = np.roll(self.spots, -1, 0) - self.spots
        # Twice the area of the triangle between an edge and the pixel: one sign on the inner side.
        turn = np.sign(edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]) or np.float32(1)
        within = np.ones((rows, columns), bool)
        for (start_x, start_y), (step_x, step_y) in zip(self.spots * turn, edges, strict=True):
            within &= step_x * (y * turn - start_y) >= step_y * (x * turn - start_x)
        return within

    def warp(self, texture: FloatMap) -> FloatMap:
        """Return a map over the quadrilateral as the window sees it."""
        rows, columns = texture.shape[:2]
        frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
        # Both grids count from pixel centres.
        matrix = cv2.getPerspectiveTransform(frame - 0.5, self.spots - np.float32(0.5))
        border = cv2.BORDER_REPLICATE
        return as_float(
            cv2.warpPerspective(
                texture, matrix, self.size, flags=cv2.INTER_LINEAR, borderMode=border
            )
        )


def _middle_height(heights: FloatMap) -> float:
    """Return the mean height of a sheet's inner half, where its bulk is seen."""
    rows, columns = heights.shape
    return float(
        heights[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4].mean()
    )


def _smooth(heights: FloatMap) -> FloatMap:
    """Return heights without the stair steps of their grid."""
    return as_float(cv2.GaussianBlur(heights, (0, 0), 0.8))


def _density(corners: _Corners, field: FloatMap) -> float:
    return float(field.shape[1] / np.linalg.norm(corners[1] - corners[0]))


def _tilted(normal: FloatMap, relief: FloatMap, corners: _Corners) -> FloatMap:
    """Return `normal` tilted by slopes (rows, columns, 2) along the surface's edges."""
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    u = (along / np.linalg.norm(along)).astype(np.float32)
    v = (down / np.linalg.norm(down)).astype(np.float32)
    tilted = normal - relief[..., :1] * u - relief[..., 1:] * v
    tilted /= np.linalg.norm(tilted, axis=2, keepdims=True)
    return as_float(tilted)
