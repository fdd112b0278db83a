# SPDX-License-Identifier: Apache-2.0
"""Light in the tote: rectangular lamps with cast shadows and mirror images, and a dim rest.

Everything is shaded once, from the raster's maps. Shadows and ambient occlusion are marched on a
reduced height map of about 5 cells per cm, the rest pixel by pixel in strips, to bound the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from armseg_ros.synthetic.grid import FloatMap, as_float, blur, resize
from armseg_ros.synthetic.raster import Raster

_GAMMA = 2.2  # of the painted colours
_CELLS_PER_CM = 5.0
_STRIP_ROWS = 128
_SHADOW_STEPS, _SHADOW_STEP_CM = 21, 0.7
_HEAP_TOP_CM = 8.0  # where the picture's scale is measured


@dataclass(frozen=True, slots=True)
class Lamp:
    """A level rectangle of light above the tote."""

    center: FloatMap  # (3,) cm
    half: tuple[float, float]  # cm along x and y
    strength: float


@dataclass(frozen=True, slots=True)
class Light:
    """The lamps and the dim rest."""

    lamps: tuple[Lamp, ...]
    ambient: float
    occlusion: float  # how dark narrow gaps are
    vignette: float  # loss of light in the corners, 0..1


def random_light(seed: int, camera_height: float) -> Light:
    """Hang one to three lamps beside and above the camera."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    lamps = []
    for _ in range(count):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(15, 95)
        height = camera_height + rng.uniform(0, 60)
        half = rng.uniform(6, 18), rng.uniform(25, 70)
        if rng.random() < 0.5:
            half = half[1], half[0]
        center = np.array([np.cos(angle) * reach, np.sin(angle) * reach, height], np.float32)
        lamps.append(Lamp(center, half, rng.uniform(0.8, 1.5) / count))
    return Light(tuple(lamps), rng.uniform(0.1, 0.3), rng.uniform(0.7, 1.3), rng.uniform(0.05, 0.4))


def shade(raster: Raster, light: Light) -> FloatMap:
    """Return the linear light (H, W, 3), BGR, that reaches the camera; 1 is about white."""
    scale = raster.camera.focal_px(raster.size) / (float(raster.camera.position[2]) - _HEAP_TOP_CM)
    step = max(1, round(scale / _CELLS_PER_CM))
    height, width = raster.z.shape
    coarse = resize(raster.z, (max(2, height // step), max(2, width // step)))
    cells_per_cm = scale * coarse.shape[1] / width
    open_sky = _open_sky(raster.z, coarse, cells_per_cm, light.occlusion)
    shadows = [resize(_shadow(coarse, lamp, cells_per_cm), raster.z.shape) for lamp in light.lamps]
    out = np.empty((height, width, 3), np.float32)
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(height, top + _STRIP_ROWS))
        out[rows] = _shade_rows(
            raster, light, rows, open_sky[rows], [shadow[rows] for shadow in shadows]
        )
    across, down = np.linspace(-1, 1, width) ** 2, np.linspace(-1, 1, height) ** 2
    corners = 1 - light.vignette * (across[None] + down[:, None]) / 2
    out *= corners.astype(np.float32)[..., None]
    return out


def _open_sky(z: FloatMap, coarse: FloatMap, cells_per_cm: float, strength: float) -> FloatMap:
    """Return 1 in the open .. 0 deep between goods, by the depth below the surroundings."""
    buried = np.zeros_like(z)
    for reach_cm in (1.2, 3.0, 8.0):
        around = resize(blur(coarse, reach_cm * cells_per_cm), (z.shape[0], z.shape[1]))
        buried += np.maximum(around - z, 0) / np.float32(reach_cm * 2.2)
    return as_float(1 / (1 + np.float32(strength) * buried) ** 1.3)


def _shadow(coarse: FloatMap, lamp: Lamp, cells_per_cm: float) -> FloatMap:
    """Return 0 lit .. 1 in the shadow of something higher on the way to the lamp."""
    top = np.asarray(cv2.dilate(coarse, np.ones((3, 3), np.uint8)), np.float32)
    lean = lamp.center[:2] / lamp.center[2]
    shadow = np.zeros_like(coarse)
    size = coarse.shape[1], coarse.shape[0]
    for step in range(1, _SHADOW_STEPS + 1):
        rise = _SHADOW_STEP_CM * step
        shift = -lean * rise * cells_per_cm
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        toward = cv2.warpAffine(coarse, move, size, borderMode=cv2.BORDER_REPLICATE)
        shadow = np.maximum(shadow, ((toward - top - rise) / (0.25 + 0.16 * rise)).clip(0, 1))
    return blur(shadow, 0.8)


def _shade_rows(
    raster: Raster, light: Light, rows: slice, open_sky: FloatMap, shadows: list[FloatMap]
) -> FloatMap:
    albedo = (raster.color[rows].clip(0, 255) / np.float32(255)) ** np.float32(_GAMMA)
    position = _positions(raster, rows)
    view = _unit(raster.camera.position.astype(np.float32) - position)
    normal, mirror = raster.normal[rows], raster.mirror[rows]
    facing = _dot(mirror, view)
    bounce = mirror * (2 * facing)[..., None] - view
    # The tote lights itself from its walls.
    around = np.where(raster.ids[rows] == 1, np.float32(1.5), np.float32(1)) * np.float32(
        light.ambient
    )
    received = around * open_sky * (0.75 + 0.25 * normal[..., 2])
    glints = np.zeros_like(open_sky)
    for lamp, shadow in zip(light.lamps, shadows, strict=True):
        toward = _unit(lamp.center - position)
        slant = _dot(normal, toward).clip(0)
        received = received + lamp.strength * slant * (1 - 0.85 * shadow) * _falloff(lamp, position)
        glints += _glint(lamp, position, bounce, raster.roughness[rows]) * (1 - 0.7 * shadow)
    fresnel = 0.35 + 0.65 * (1 - facing.clip(0, 1)) ** 3
    mirrored = glints * raster.gloss[rows] * fresnel * 2.6
    return as_float(albedo * received[..., None] + mirrored[..., None])


def _positions(raster: Raster, rows: slice) -> FloatMap:
    eye = raster.camera.position.astype(np.float32)
    z = raster.z[rows]
    depth = eye[2] - z
    x, y = eye[0] + raster.ray_x[rows] * depth, eye[1] + raster.ray_y[rows] * depth
    return as_float(np.stack([x, y, z], 2))


def _falloff(lamp: Lamp, position: FloatMap) -> FloatMap:
    """Return the loss of light away from the point under the lamp's reflector."""
    dx, dy = position[..., 0] - lamp.center[0] * 0.15, position[..., 1] - lamp.center[1] * 0.15
    return as_float(np.exp(-(dx * dx + dy * dy) / np.float32(2 * 48.0**2)))


def _glint(lamp: Lamp, position: FloatMap, bounce: FloatMap, roughness: FloatMap) -> FloatMap:
    """Return how much of the lamp's mirror image each point shows, blurred by its roughness."""
    reach = (lamp.center[2] - position[..., 2]) / np.maximum(bounce[..., 2], 0.05)
    width = (8 + roughness * 150) / 4
    seen = np.full(reach.shape, lamp.strength, np.float32)
    for axis in (0, 1):
        off = np.abs(position[..., axis] + bounce[..., axis] * reach - lamp.center[axis])
        seen /= 1 + np.exp(((off - lamp.half[axis]) / width).clip(-20, 20))
    return seen


def _dot(a: FloatMap, b: FloatMap) -> FloatMap:
    return as_float(np.einsum("ijk,ijk->ij", a, b))


def _unit(vectors: FloatMap) -> FloatMap:
    length = np.sqrt(_dot(vectors, vectors))
    return as_float(vectors / length[..., None])
