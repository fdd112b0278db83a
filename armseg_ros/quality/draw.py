# SPDX-License-Identifier: Apache-2.0
"""Draw suspects over an overlay: pairs joined by a line, merging masks outlined."""

from __future__ import annotations

import cv2
import numpy as np

from armseg_ros.masks import shrink
from armseg_ros.quality.result import Quality
from armseg_ros.types import Instances, Mask, Uint8Array

OVER_COLOR = (0, 0, 255)  # BGR red: these two are probably one
UNDER_COLOR = (255, 0, 255)  # magenta: this one is probably several


def draw_suspects(
    overlay: Uint8Array, instances: Instances, quality: Quality, scale: float = 1.0
) -> None:
    """Draw into an overlay what is probably wrong.

    Args:
        overlay: (h, w, 3) uint8 BGR of ``draw_overlay``; changed.
        instances: What was drawn on it, in source pixels.
        quality: Of these instances.
        scale: Size of the overlay relative to the source.
    """
    thickness = max(2, round(max(overlay.shape[:2]) / 350))
    for index in quality.under_indices:
        _outline(overlay, shrink(instances.masks[index], scale), thickness)
    for pair in quality.pairs:
        start, end = (
            _centre(instances.masks[index], instances.boxes[index].tolist(), scale)
            for index in (pair.first, pair.second)
        )
        cv2.line(overlay, start, end, (255, 255, 255), thickness + 2, cv2.LINE_AA)
        cv2.line(overlay, start, end, OVER_COLOR, thickness, cv2.LINE_AA)
        for place in (start, end):
            cv2.circle(overlay, place, 2 * thickness, OVER_COLOR, -1, cv2.LINE_AA)


def _outline(overlay: Uint8Array, mask: Mask, thickness: int) -> None:
    if not mask.crop.any():
        return
    crop = np.ascontiguousarray(mask.crop).view(np.uint8)
    contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(overlay, contours, -1, UNDER_COLOR, thickness, offset=(mask.x, mask.y))


def _centre(mask: Mask, box: list[float], scale: float) -> tuple[int, int]:
    """Centre of a mask in the overlay; of its box where the mask is empty."""
    rows, columns = np.nonzero(mask.crop)
    if rows.size == 0:
        return int((box[0] + box[2]) / 2 * scale), int((box[1] + box[3]) / 2 * scale)
    return int((mask.x + columns.mean()) * scale), int((mask.y + rows.mean()) * scale)
