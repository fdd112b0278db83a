# SPDX-License-Identifier: Apache-2.0
"""Colours that go together, as designers of packaging choose them."""

from __future__ import annotations

import cv2
import numpy as np

from armseg_ros.synthetic.canvas import Color

BLACK: Color = (18.0, 18.0, 18.0)
WHITE: Color = (246.0, 246.0, 246.0)


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return the BGR colour of an OpenCV hue (0..180, wraps), saturation and value (0..255)."""
    pixel = np.array([[[hue % 180, np.clip(saturation, 0, 255), np.clip(value, 0, 255)]]])
    blue, green, red = cv2.cvtColor(pixel.astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return float(blue), float(green), float(red)


def grey(value: float, tint: float = 0.0) -> Color:
    """Return a grey of `value` 0..255, warmer for a positive and cooler for a negative `tint`."""
    return value - tint, value, value + tint


def scale(color: Color, gain: float) -> Color:
    """Return `color` times `gain`, clipped to 0..255."""
    blue, green, red = (min(255.0, max(0.0, channel * gain)) for channel in color)
    return blue, green, red


def mix(first: Color, second: Color, share: float) -> Color:
    """Return `first` with `share` (0..1) of `second` in it."""
    return (
        first[0] * (1 - share) + second[0] * share,
        first[1] * (1 - share) + second[1] * share,
        first[2] * (1 - share) + second[2] * share,
    )


def luma(color: Color) -> float:
    """Return the Rec. 601 brightness of a BGR colour, 0..255."""
    return 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]


def palette(rng: np.random.Generator) -> list[Color]:
    """Return five colours: a ground (often white or black), three companions, an accent.

    The hues follow one of the usual schemes: one hue, neighbours, complements, a triad, or free.
    """
    hue = rng.uniform(0, 180)
    scheme = [(0, 6, -6, 3), (0, 18, -18, 30), (0, 90, 8, 82), (0, 60, 120, 60), (0, 45, 90, 135)]
    offsets = scheme[int(rng.integers(len(scheme)))]
    top_saturation = float(rng.choice([70, 150, 235, 250]))
    colors = [
        hsv(hue + offset, rng.uniform(0.3, 1) * top_saturation, rng.uniform(35, 250))
        for offset in offsets
    ]
    if rng.random() < 0.45:
        value = float(rng.choice([245, 235, 220, 205, 30]))
        colors[0] = grey(value, rng.uniform(-10, 10))
    return [*colors, WHITE if rng.random() < 0.6 else BLACK]


def contrasting(color: Color) -> Color:
    """Return black or white, whichever reads on `color`."""
    return WHITE if luma(color) < 130 else BLACK
