# SPDX-License-Identifier: Apache-2.0
"""Colour of the tote by its hue, for pictures whose record does not name it."""

from __future__ import annotations

import cv2
import numpy as np

from armseg_ros.types import TOTE, Frame, Instances

HUES = {"yellow": (15, 40), "blue": (90, 130)}  # OpenCV's 0..179; ARMBench has these two
LEAST_SATURATION = 60
STEP = 4  # every fourth pixel each way is plenty


def tote_color(frame: Frame, truth: Instances) -> str:
    """Name the colour that most of the tote's coloured pixels have.

    Returns:
        ``yellow``, ``blue`` or ``other``; empty without a tote.
    """
    hues = []
    for index in np.flatnonzero(truth.class_ids == TOTE):
        mask = truth.masks[index]
        height, width = mask.crop.shape
        region = frame.image[mask.y : mask.y + height : STEP, mask.x : mask.x + width : STEP]
        crop = mask.crop[::STEP, ::STEP][: region.shape[0], : region.shape[1]]
        if crop.any():
            hsv = cv2.cvtColor(np.ascontiguousarray(region), cv2.COLOR_BGR2HSV)[crop]
            hues.append(hsv[hsv[:, 1] >= LEAST_SATURATION, 0])
    if not hues:
        return ""
    hue = np.concatenate(hues)
    for name, (low, high) in HUES.items():
        if len(hue) and ((hue >= low) & (hue <= high)).mean() > 0.5:
            return name
    return "other"
