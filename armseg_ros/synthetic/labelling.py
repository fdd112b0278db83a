# SPDX-License-Identifier: Apache-2.0
"""Which drawn things become labels: the rule by which an annotator outlines or leaves out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

TOTE_ID, FIRST_OBJECT_ID = 1, 2
MIN_PICTURE_FRAC = 0.0005
SURE_PICTURE_FRAC = 0.0025
MIN_SILHOUETTE_FRAC = 0.04
SPECK_PICTURE_FRAC = 0.0001
_SMALLEST_SPECK_PX = 4


def label_instances(
    numbers: npt.NDArray[np.uint8], silhouette_px: dict[int, int]
) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Turn drawn numbers into labels as an annotator would draw them.

    1. A connected speck below 0.01 % of the picture (at least 4 px) goes to the label of the
       nearest pixel that is no speck: nobody outlines a dot seen between two bags.
    2. An object that covers less than 0.05 % of the picture is not annotated, nor is one that
       covers less than 0.25 % of it and shows less than 4 % of its own silhouette; its pixels
       become 0, nothing.
    3. What is left is numbered 2, 3, ... from the bottom of the heap to its top.

    Args:
        numbers: (H, W) uint8 as drawn: 0 surroundings, 1 tote, 2.. objects.
        silhouette_px: how many pixels each number would have if nothing hid it.

    Returns:
        The labels (H, W) uint8, and the drawn number of label 2, 3, ...
    """
    labels = _without_specks(
        numbers, max(_SMALLEST_SPECK_PX, round(SPECK_PICTURE_FRAC * numbers.size))
    )
    areas = np.bincount(labels.ravel(), minlength=256)
    renamed = np.zeros(256, np.uint8)
    renamed[TOTE_ID] = TOTE_ID
    kept: list[int] = []
    for number in np.flatnonzero(areas[FIRST_OBJECT_ID:]) + FIRST_OBJECT_ID:
        share = areas[number] / numbers.size
        seen = areas[number] / max(1, silhouette_px.get(int(number), 0))
        if share >= SURE_PICTURE_FRAC or (
            share >= MIN_PICTURE_FRAC and seen >= MIN_SILHOUETTE_FRAC
        ):
            renamed[number] = FIRST_OBJECT_ID + len(kept)
            kept.append(int(number))
    return renamed[labels], kept


def _without_specks(numbers: npt.NDArray[np.uint8], least_px: int) -> npt.NDArray[np.uint8]:
    specks = np.zeros(numbers.shape, bool)
    for number in np.flatnonzero(np.bincount(numbers.ravel())):
        own = (numbers == number).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(own)
        small = stats[:, cv2.CC_STAT_AREA] < least_px
        small[0] = False
        if small.any():
            specks |= small[parts]
    if not specks.any() or specks.all():
        return numbers
    _, nearest = cv2.distanceTransformWithLabels(
        specks.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    number_of[nearest[~specks]] = numbers[~specks]
    return np.where(specks, number_of[nearest], numbers)
