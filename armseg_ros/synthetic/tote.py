# SPDX-License-Identifier: Apache-2.0
"""The tote: its measures and colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armseg_ros.synthetic.canvas import Color
from armseg_ros.synthetic.palette import hsv

_RIM_CM = 2.0


@dataclass(frozen=True, slots=True)
class Tote:
    """Half widths and depths in cm at rim, mouth and floor; heights; how the walls are moulded."""

    color_name: str  # "blue" or "yellow"
    color: Color
    height: float
    rim: tuple[float, float]
    mouth: tuple[float, float]
    floor: tuple[float, float]
    ledge: float  # height of a step in the walls, as a share of the height; 0: straight walls
    ledge_cm: float  # how far the step stands in
    ribs: int  # buttresses along a long wall; 0: smooth
    rib_cm: float  # how far they stand in
    seed: int

    @property
    def inside(self) -> tuple[float, float]:
        """Return the half sizes of the floor that goods can lie on, between the buttresses."""
        return self.floor[0] - self.rib_cm, self.floor[1] - self.rib_cm


def random_tote(rng: np.random.Generator) -> Tote:
    """Return a blue or a yellow tote, about 68 x 55 x 27 cm."""
    yellow = rng.random() < 0.5
    color = hsv(rng.uniform(104, 113), rng.uniform(160, 238), rng.uniform(85, 175))
    if yellow:
        color = hsv(rng.uniform(26, 31.5), rng.uniform(190, 245), rng.uniform(160, 225))
    half_width, half_depth = 34.0, 34.0 * rng.uniform(0.79, 0.84)
    rim_cm = rng.uniform(2.6, 4.2) if yellow else _RIM_CM
    mouth = half_width - rim_cm, half_depth - rim_cm
    taper = rng.uniform(0.92, 0.97)
    ribbed = rng.random() < (0.8 if yellow else 0.3)
    stepped = rng.random() < (0.75 if yellow else 0.25)
    return Tote(
        color_name="yellow" if yellow else "blue",
        color=color,
        height=rng.uniform(24, 30),
        rim=(half_width, half_depth),
        mouth=mouth,
        floor=(mouth[0] * taper, mouth[1] * taper),
        ledge=rng.uniform(0.45, 0.8) if stepped else 0.0,
        ledge_cm=rng.uniform(0.6, 1.5),
        ribs=int(rng.integers(3, 8)) if ribbed else 0,
        rib_cm=rng.uniform(0.5, 1.6) if ribbed else 0.0,
        seed=int(rng.integers(2**62)),
    )
