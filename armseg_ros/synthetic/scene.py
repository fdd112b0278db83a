# SPDX-License-Identifier: Apache-2.0
"""A tote filled with goods, as geometry in centimetres: no pixels, so no picture size, in here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.camera import Camera, random_camera
from armseg_ros.synthetic.grid import FloatMap, as_float, blur, resize
from armseg_ros.synthetic.heap import Heap, Pose
from armseg_ros.synthetic.objects import make_product
from armseg_ros.synthetic.products import BoxProduct, Product, SheetProduct
from armseg_ros.synthetic.tote import Tote, random_tote

_Corners = npt.NDArray[np.float64]
MAX_OBJECTS = 25
_MAX_FAILURES = 12  # the tote is full once so many products found no place
_DEEPEST_DRAPE_CM = 7.0
_REPEATED = {"card": 0.8, "bagged_strap": 0.6, "strap": 0.4, "pouch": 0.3}  # chance of copies
_USUALLY_REPEATED = 0.16


@dataclass(frozen=True, slots=True)
class Placed:
    """A product at rest."""

    product: Product
    product_number: int  # copies of one product share it
    corners: _Corners  # (4, 3) world cm of a box's bottom or of a sheet
    up: npt.NDArray[np.float64]  # (3,) unit
    heights: FloatMap | None  # of a sheet after draping, cm over its plane, SHAPE_DENSITY


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides a picture but its size; the seeds are of floor, light and sensor."""

    tote: Tote
    camera: Camera
    placed: tuple[Placed, ...]  # from the bottom of the heap to its top
    floor_seed: int
    light_seed: int
    sensor_seed: int


def build_scene(seed: int, index: int) -> Scene:
    """Return scene `index` (>= 0) of the endless series `seed` (>= 0)."""
    streams = [
        np.random.default_rng(child) for child in np.random.SeedSequence([seed, index]).spawn(4)
    ]
    tote_rng, heap_rng, camera_rng, seeds = streams
    tote = random_tote(tote_rng)
    camera = random_camera(camera_rng, tote.rim[0], tote.height)
    floor, light, sensor = (int(value) for value in seeds.integers(2**62, size=3))
    return Scene(tote, camera, _fill(heap_rng, tote), floor, light, sensor)


def _fill(rng: np.random.Generator, tote: Tote) -> tuple[Placed, ...]:
    """Drop products into the tote, some of them several times."""
    wanted = int(np.clip(rng.gamma(2.6, 4.9), 1, MAX_OBJECTS))
    heap = Heap(*tote.inside, tote.height)
    placed: list[Placed] = []
    failures = number = 0
    while len(placed) < wanted and failures < _MAX_FAILURES:
        product = make_product(rng)
        repeated = rng.random() < _REPEATED.get(product.family, _USUALLY_REPEATED)
        copies = int(rng.integers(2, 7)) if repeated else 1
        twin: Pose | None = None
        for _ in range(min(copies, wanted - len(placed))):
            twin = heap.find_pose(rng, _resting_size(product), twin)
            if twin is None:
                failures += 1
                break
            placed.append(_place(heap, product, number, twin))
        number += 1
    return tuple(placed)


def _resting_size(product: Product) -> tuple[float, float, float]:
    if isinstance(product, BoxProduct):
        return product.size_cm
    # The outermost edge of a bag is limp and holds nothing up.
    return product.width_cm * 0.95, product.height_cm * 0.95, product.thickness_cm


def _place(heap: Heap, product: Product, number: int, pose: Pose) -> Placed:
    if isinstance(product, BoxProduct):
        length, width, height = product.size_cm
        corners = _corners(pose, length, width)
        heap.add(corners + pose.up * height)
        return Placed(product, number, corners, pose.up, None)
    corners = _corners(pose, product.width_cm, product.height_cm)
    heights = _drape(heap, product, corners)
    inside = np.where(product.cover > 0.5, np.maximum(heights, 0.06), 0).astype(np.float32)
    heap.add(corners, product.cover, inside)
    return Placed(product, number, corners, pose.up, heights)


def _corners(pose: Pose, length: float, width: float) -> _Corners:
    half = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array(
        [
            pose.center + pose.along * (a * length / 2) + pose.across * (b * width / 2)
            for a, b in half
        ]
    )


def _drape(heap: Heap, product: SheetProduct, corners: _Corners) -> FloatMap:
    """Return a sheet's heights over its plane once it sags onto the heap by its `drape`."""
    rows, columns = max(2, round(product.height_cm)), max(2, round(product.width_cm))
    across, down = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    sheet = (
        corners[0]
        + (corners[1] - corners[0]) * across[..., None]
        + (corners[3] - corners[0]) * down[..., None]
    )
    gap = np.minimum(heap.height_at(sheet[..., 0], sheet[..., 1]) - sheet[..., 2], 0)
    shape = product.cover.shape
    floor = resize(gap, shape)
    sag = resize(blur(gap, 1.2), shape, smooth=True)
    draped = product.body + np.maximum(sag, -_DEEPEST_DRAPE_CM) * np.float32(product.drape)
    return as_float(np.maximum(draped, floor + 0.25))
