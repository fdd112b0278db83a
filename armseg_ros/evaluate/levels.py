# SPDX-License-Identifier: Apache-2.0
"""Which predictions are right at each of COCO's ten IoU thresholds, as bits of one number.

With these bits in a table, average precision can be computed anew on any choice of pictures, with
repeats as a bootstrap draws them, and without any mask.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armseg_ros.types import BoolArray

IOU_LEVELS = np.linspace(0.5, 0.95, 10)  # as pycocotools makes them
Bits = npt.NDArray[np.int16]


def match_levels(iou: npt.NDArray[np.float64], crowd: BoolArray) -> tuple[Bits, Bits]:
    """Match greedily at each threshold, as COCO does: best score first, each to its best IoU.

    Args:
        iou: (P, G) IoU within a class, 0 between classes; predictions by descending score.
        crowd: (G,) bool; crowds excuse any number of predictions.

    Returns:
        Two (P,) int16 arrays; bit n stands for ``IOU_LEVELS[n]``: where the prediction found a
        ground truth, and where it found only a crowd, so that it does not count.
    """
    found, excused = np.zeros(len(iou), np.int16), np.zeros(len(iou), np.int16)
    if not iou.size:
        return found, excused
    candidates = np.flatnonzero(iou.max(axis=1) >= IOU_LEVELS[0])
    for level, threshold in enumerate(IOU_LEVELS):
        free = ~crowd
        for index in candidates:
            row = np.where(free, iou[index], 0.0)
            # The last of equals, as pycocotools goes on to any that is not worse.
            best = len(row) - 1 - int(row[::-1].argmax())
            if row[best] >= threshold:
                free[best] = False
                found[index] |= 1 << level
            elif (iou[index][crowd] >= threshold).any():
                excused[index] |= 1 << level
    return found, excused


def bit_table(bits: npt.NDArray[np.integer]) -> BoolArray:
    """Unpack (N,) bits to (N, 10) bool, one column a threshold."""
    table: BoolArray = (bits[:, None] >> np.arange(len(IOU_LEVELS))) & 1 == 1
    return table
