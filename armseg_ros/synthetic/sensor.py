# SPDX-License-Identifier: Apache-2.0
"""From linear light to an 8-bit picture: blur, glare, exposure, white balance, noise, tone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.synthetic.grid import FloatMap, as_float, blur


@dataclass(frozen=True, slots=True)
class Sensor:
    """How one picture is taken."""

    exposure: float
    white_balance: tuple[float, float, float]  # gains of B, G, R
    saturation: float  # 1 as painted, 0 grey
    blur_px: float
    shake_frac: float  # length of motion blur as a share of the picture's width
    shake_angle: float  # radians
    noise: float
    gamma: float
    contrast: float  # 0 linear .. 0.35 strong S-curve
    seed: int


def random_sensor(seed: int) -> Sensor:
    """Draw the spread of stations: two in three well exposed, the rest too dark or too bright."""
    rng = np.random.default_rng(seed)
    stops = rng.normal(0.1, 0.22) if rng.random() < 0.67 else rng.uniform(-0.9, 0.75)
    warm, green = rng.normal(0, 0.06), rng.normal(0, 0.03)
    shaken = rng.random() < 0.06
    return Sensor(
        exposure=float(2.0**stops),
        white_balance=(1 - warm, 1 + green, 1 + warm),
        saturation=rng.uniform(0.7, 1.02),
        blur_px=rng.uniform(0.25, 0.7),
        shake_frac=rng.uniform(0.002, 0.006) if shaken else 0.0,
        shake_angle=rng.uniform(0, np.pi),
        noise=rng.uniform(0.15, 0.95) * (1.8 if stops < -0.4 else 1.0),
        gamma=rng.uniform(1.9, 2.3),
        contrast=rng.uniform(0, 0.4),
        seed=int(rng.integers(2**62)),
    )


def expose(light: FloatMap, edges: npt.NDArray[np.bool_], sensor: Sensor) -> npt.NDArray[np.uint8]:
    """Return the picture (H, W, 3) uint8, BGR, of linear light (H, W, 3).

    `edges` (H, W) says where one thing ends and another begins: there the light, one sample per
    pixel, is softened, as a real sensor averages over a pixel.
    """
    light = light * np.float32(sensor.exposure)
    light *= np.asarray(sensor.white_balance, np.float32)
    grey = light @ np.array([0.0722, 0.7152, 0.2126], np.float32)  # Rec. 709 luminance of B, G, R
    light = grey[..., None] + np.float32(sensor.saturation) * (light - grey[..., None])
    light = _soften(light.clip(0, 4), edges)
    if sensor.shake_frac:
        light = _shaken(light, sensor)
    light = blur(light, sensor.blur_px)
    light += np.float32(0.25) * blur((light - 0.9).clip(0, 2), light.shape[1] / 90)
    rng = np.random.default_rng(sensor.seed)
    grain = rng.standard_normal(light.shape, dtype=np.float32) * np.float32(sensor.noise)
    light += grain * np.sqrt(light.clip(0) * np.float32(0.0004) + np.float32(1e-5))
    return _develop(light.clip(0), sensor)


def _soften(light: FloatMap, edges: npt.NDArray[np.bool_]) -> FloatMap:
    soft = cv2.GaussianBlur(light, (3, 3), 0.75)
    return as_float(np.where(edges[..., None], soft, light))


def _shaken(light: FloatMap, sensor: Sensor) -> FloatMap:
    length = max(1, round(sensor.shake_frac * light.shape[1]))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    reach = length * np.array([np.cos(sensor.shake_angle), np.sin(sensor.shake_angle)])
    ends = [tuple(round(float(length + sign * part)) for part in reach) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return as_float(cv2.filter2D(light, -1, kernel / kernel.sum()))


def _develop(light: FloatMap, sensor: Sensor) -> npt.NDArray[np.uint8]:
    """Roll off the highlights, apply gamma and contrast through a table, quantise."""
    levels = np.linspace(0, 2, 8192, dtype=np.float32)
    rolled = np.where(levels > 0.8, 0.8 + 0.2 * np.tanh((levels - 0.8) / 0.2), levels)
    tone = rolled ** (1 / sensor.gamma)
    curve = tone * (1 - sensor.contrast) + sensor.contrast * tone * tone * (3 - 2 * tone)
    table = (curve.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return table[(np.minimum(light, 2) * np.float32(4095.5)).astype(np.uint16)]
