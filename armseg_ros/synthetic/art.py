# SPDX-License-Identifier: Apache-2.0
"""Printed fronts of packages: a ground, motifs, headlines, small print, each chosen on its own.

13 grounds x 9 motifs (up to two) x 5 headline layouts x 6 kinds of small print x 12 faces x the
palettes: thousands of recipes before any number in them varies.
"""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic import grounds
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.headlines import HEADLINES
from armseg_ros.synthetic.labels import add_sticker
from armseg_ros.synthetic.motifs import MOTIFS
from armseg_ros.synthetic.palette import palette
from armseg_ros.synthetic.small_print import SMALL_PRINT


def front(rng: np.random.Generator, grid: Grid) -> Canvas:
    """Return the printed front of a package, book or bag in reading position."""
    colors = palette(rng)
    canvas = Canvas(grid, colors[0])
    grounds.paint_ground(rng, canvas, colors)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        MOTIFS[int(rng.integers(len(MOTIFS)))](rng, canvas, colors)
    HEADLINES[int(rng.integers(len(HEADLINES)))](rng, canvas, colors)
    SMALL_PRINT[int(rng.integers(len(SMALL_PRINT)))](rng, canvas, colors)
    if rng.random() < 0.2:
        add_sticker(rng, canvas, (0.2, 0.45))
    return canvas
