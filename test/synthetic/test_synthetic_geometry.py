# SPDX-License-Identifier: Apache-2.0
"""Sheets in centimetres, the camera, the heap and the depth test, on cases worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from armseg_ros.synthetic.camera import Camera, random_camera
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import Grid, clouds, slopes
from armseg_ros.synthetic.heap import Heap
from armseg_ros.synthetic.products import Paint
from armseg_ros.synthetic.raster import BOX_LIFT_CM, Raster
from armseg_ros.synthetic.shapes import pillow, rounded

STRAIGHT_DOWN = Camera(np.array([0.0, 0.0, 100.0]), np.eye(3), 1.0)


def square(half: float, z: float, x: float = 0.0) -> np.ndarray:
    return np.array(
        [[x - half, -half, z], [x + half, -half, z], [x + half, half, z], [x - half, half, z]]
    )


def plain(value: float) -> Paint:
    return Paint(np.full((8, 8, 3), value, np.float32))


def test_noise_is_the_same_field_at_every_density() -> None:
    coarse = clouds(np.random.default_rng(1), Grid(20, 12, 6), 5)
    fine = clouds(np.random.default_rng(1), Grid(20, 12, 24), 5)
    assert coarse.shape == (72, 120)
    assert fine.shape == (288, 480)
    shrunk = cv2.resize(fine, (120, 72), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), coarse.ravel())[0, 1] > 0.98


def test_random_streams_go_on_alike_after_noise_of_any_density() -> None:
    after = []
    for density in (2.0, 30.0):
        rng = np.random.default_rng(4)
        clouds(rng, Grid(20, 12, density), 5)
        rounded(rng, Grid(20, 12, density), 0.3)
        after.append(rng.random())
    assert after[0] == after[1]


def test_slopes_of_a_ramp() -> None:
    ramp = np.tile(np.arange(20, dtype=np.float32) / 5, (10, 1))  # 1 cm per cm at 5 px per cm
    inner = slopes(ramp, 5.0)[2:-2, 2:-2]
    assert np.allclose(inner[..., 0], 1)
    assert np.allclose(inner[..., 1], 0)


def test_a_pillow_is_flat_in_the_middle_and_zero_outside() -> None:
    cover = np.zeros((40, 60), np.float32)
    cover[5:35, 5:55] = 1
    heights = pillow(cover, 5.0, 2.0, 1.0)
    assert heights[20, 30] == pytest.approx(2)
    assert heights[0, 0] == 0
    assert 0 < heights[6, 30] < 2


def test_canvas_draws_in_centimetres_and_cuts_off() -> None:
    canvas = Canvas(Grid(10, 5, 4))
    canvas.rectangle((2, 1, 3, 2), (0, 0, 0))
    assert canvas.pixels.shape == (20, 40, 3)
    assert (canvas.pixels[5:11, 9:19] == 0).all()
    assert (canvas.pixels[0:3] == 255).all()
    canvas.paste(np.full((8, 8, 3), 7, np.uint8), 9, 4)
    assert (canvas.pixels[16:, 36:] == 7).all()


def test_projection_and_rays_agree() -> None:
    camera = random_camera(np.random.default_rng(2), 34.0, 27.0)
    ray_x, ray_y = camera.rays((60, 50))
    fall = camera.position[2] - 5.0
    for row, column in ((0, 0), (25, 30), (49, 59)):
        x = camera.position[0] + ray_x[row, column] * fall
        y = camera.position[1] + ray_y[row, column] * fall
        spot = camera.project(np.array([[x, y, 5.0]]), (60, 50))[0]
        assert spot == pytest.approx([column + 0.5, row + 0.5], abs=1e-3)


def test_the_nearer_surface_wins_whatever_the_order() -> None:
    for order in ((10.0, 20.0), (20.0, 10.0)):
        raster = Raster(STRAIGHT_DOWN, (64, 64))
        for z in order:
            raster.draw(square(10, z), plain(z), int(z), BOX_LIFT_CM)
        assert raster.ids[32, 32] == 20
        assert raster.color[32, 32, 0] == 20
        assert raster.z[32, 32] == pytest.approx(20, abs=1e-3)
        assert raster.ids[0, 0] == 0


def test_silhouettes_count_hidden_pixels() -> None:
    raster = Raster(STRAIGHT_DOWN, (100, 80))
    raster.draw(square(10, 0), plain(50), 2, BOX_LIFT_CM)  # 20 cm at 0.956 px per cm
    alone = raster.silhouette_px[2]
    raster.draw(square(30, 30), plain(90), 3, BOX_LIFT_CM)
    raster.draw(square(10, 0), plain(50), 4, BOX_LIFT_CM)
    assert not (raster.ids == 2).any()
    assert raster.silhouette_px[4] == alone
    assert not (raster.ids == 4).any()
    assert alone == pytest.approx((20 * STRAIGHT_DOWN.focal_px((100, 80)) / 100) ** 2, rel=0.1)


def test_goods_rest_on_the_floor_then_on_each_other() -> None:
    rng = np.random.default_rng(0)
    heap = Heap(20, 15, 25)
    size = (39.9, 29.9, 4.0)  # as large as the floor: there is one place only
    first = heap.find_pose(rng, size)
    assert first is not None
    assert first.center[2] == pytest.approx(0, abs=1e-6)
    heap.add(np.array([[-20, -15, 4], [20, -15, 4], [20, 15, 4], [-20, 15, 4.0]]))
    second = heap.find_pose(rng, size)
    assert second is not None
    assert second.center[2] == pytest.approx(4, abs=1e-4)
    assert second.up == pytest.approx([0, 0, 1], abs=1e-6)


def test_a_full_tote_takes_nothing_more() -> None:
    heap = Heap(20, 15, 25)
    heap.add(np.array([[-20, -15, 28], [20, -15, 28], [20, 15, 28], [-20, 15, 28.0]]))
    assert heap.find_pose(np.random.default_rng(0), (10, 8, 4)) is None
