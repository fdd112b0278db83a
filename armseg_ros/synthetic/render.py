# SPDX-License-Identifier: Apache-2.0
"""Renders one synthetic tote: the picture, its instance map, what is known about it.

Which instances are labelled follows what an annotator would do, see labelling.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import ConfigError
from armseg_ros.synthetic.labelling import FIRST_OBJECT_ID, TOTE_ID, label_instances
from armseg_ros.synthetic.lighting import random_light, shade
from armseg_ros.synthetic.products import BoxPaint, BoxProduct, Paint, Product
from armseg_ros.synthetic.raster import BOX_LIFT_CM, SHEET_LIFT_CM, TOTE_LIFT_CM, Raster
from armseg_ros.synthetic.scene import Placed, Scene, build_scene
from armseg_ros.synthetic.sensor import expose, random_sensor
from armseg_ros.synthetic.surroundings import station_floor
from armseg_ros.synthetic.tote_surfaces import tote_surfaces

RENDERER = 1  # version of the pictures: raise it with every change that alters one
MIN_SIDE_PX, MAX_SIDE_PX = 32, 8192

_LOWEST_DENSITY, _HIGHEST_DENSITY = 6.0, 32.0  # px per cm of textures


@dataclass(frozen=True, slots=True)
class ToteImage:
    """A rendered tote.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        instance_ids: (H, W) uint8; 0 nothing, 1 the visible part of the tote, 2.. one object each,
            without gaps in the numbering.
        families: the family of object 2, 3, ...
        products: its product number; copies of the same product share it.
        visible_fracs: which share of its silhouette (inside the picture) is seen, 0..1.
        attributes: scalars about the whole picture, to slice an evaluation by.
    """

    image: npt.NDArray[np.uint8]
    instance_ids: npt.NDArray[np.uint8]
    families: tuple[str, ...]
    products: tuple[int, ...]
    visible_fracs: tuple[float, ...]
    attributes: dict[str, str | int | float]


def render_tote(seed: int, index: int, size: tuple[int, int] = (2448, 2048)) -> ToteImage:
    """Render picture `index` of the endless series `seed`.

    The picture depends on these three alone; another size shows the same scene.

    Args:
        seed: of the series, >= 0.
        index: of the picture in it, >= 0.
        size: (width, height) in pixels, 32 to 8192 each.

    Raises:
        ConfigError: seed or index is negative, or the size is out of range.
    """
    check_arguments(seed, index, size)
    scene = build_scene(seed, index)
    raster = _rasterise(scene, size)
    light = random_light(scene.light_seed, float(scene.camera.position[2]))
    sensor = random_sensor(scene.sensor_seed)
    image = expose(shade(raster, light), raster.edges(), sensor)
    ids, kept = label_instances(raster.ids, raster.silhouette_px)
    goods = [scene.placed[number - FIRST_OBJECT_ID] for number in kept]
    taken: dict[str, str | int | float] = {
        "seed": seed,
        "index": index,
        "exposure": round(sensor.exposure, 3),
        "lamps": len(light.lamps),
    }
    return ToteImage(
        image,
        ids,
        families=tuple(good.product.family for good in goods),
        products=tuple(good.product_number for good in goods),
        visible_fracs=_visible_fracs(ids, [raster.silhouette_px[number] for number in kept]),
        attributes=_attributes(scene, goods, ids) | taken,
    )


def check_arguments(seed: int, index: int, size: tuple[int, int]) -> None:
    """Raise ConfigError where `render_tote` could not render."""
    if seed < 0 or index < 0:
        raise ConfigError(f"seed and index must be 0 or more, got seed {seed} and index {index}")
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size):
        raise ConfigError(
            f"size must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels on each side, "
            f"got {size[0]}x{size[1]}"
        )


def _rasterise(scene: Scene, size: tuple[int, int]) -> Raster:
    raster = Raster(scene.camera, size)
    scale = scene.camera.focal_px(size) / (float(scene.camera.position[2]) - scene.tote.height / 2)
    density = float(np.clip(scale * 1.1, _LOWEST_DENSITY, _HIGHEST_DENSITY))
    raster.draw(*station_floor(scene.floor_seed, density), 0, TOTE_LIFT_CM)
    for corners, paint in tote_surfaces(scene.tote, density):
        raster.draw(corners, paint, TOTE_ID, TOTE_LIFT_CM)
    paints: dict[int, Paint | BoxPaint] = {}
    for number, placed in enumerate(scene.placed, FIRST_OBJECT_ID):
        if placed.product_number not in paints:  # copies follow each other: one look is kept
            paints = {placed.product_number: placed.product.paint(density)}
        _draw_placed(raster, placed, paints[placed.product_number], number)
    return raster


def _draw_placed(raster: Raster, placed: Placed, paint: Paint | BoxPaint, number: int) -> None:
    if isinstance(paint, BoxPaint) and isinstance(placed.product, BoxProduct):
        _draw_box(raster, placed, (paint, placed.product.size_cm[2]), number)
    elif isinstance(paint, Paint):
        raster.draw(placed.corners, paint, number, SHEET_LIFT_CM, placed.heights)


def _draw_box(raster: Raster, placed: Placed, look: tuple[BoxPaint, float], number: int) -> None:
    paint, height = look
    lower = placed.corners
    upper = lower + placed.up * height
    for side, face in enumerate((paint.spine, paint.short_side, paint.long_side, paint.short_side)):
        after = (side + 1) % 4
        quad = np.array([upper[side], upper[after], lower[after], lower[side]])
        middle = (upper[side] + upper[after]) / 2
        outward = middle - upper.mean(0)
        if outward @ (raster.camera.position - middle) > 0:
            raster.draw(quad, face, number, BOX_LIFT_CM)
    raster.draw(upper, paint.top, number, BOX_LIFT_CM)


def _visible_fracs(ids: npt.NDArray[np.uint8], silhouettes_px: list[int]) -> tuple[float, ...]:
    """Return how much of each object's silhouette is seen; specks given to it count as well."""
    areas = np.bincount(ids.ravel(), minlength=len(silhouettes_px) + FIRST_OBJECT_ID)
    shares = zip(areas[FIRST_OBJECT_ID:].tolist(), silhouettes_px, strict=True)
    return tuple(round(min(1.0, area / max(1, whole)), 4) for area, whole in shares)


def _attributes(
    scene: Scene, goods: list[Placed], ids: npt.NDArray[np.uint8]
) -> dict[str, str | int | float]:
    covered = int((ids >= FIRST_OBJECT_ID).sum()) / max(1, int((ids >= TOTE_ID).sum()))
    numbers = [good.product_number for good in goods]
    see_through = [_is_see_through(good.product) for good in goods]
    return {
        "tote_color": scene.tote.color_name,
        "object_count": len(goods),
        "same_product_count": sum(numbers.count(number) > 1 for number in numbers),
        "see_through_count": sum(see_through),
        "tote_fill": round(covered, 4),
    }


def _is_see_through(product: Product) -> bool:
    return product.family.startswith(("clear", "bundle", "bagged"))
