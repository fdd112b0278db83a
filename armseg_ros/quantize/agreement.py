# SPDX-License-Identifier: Apache-2.0
"""How far two versions of a network find the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from armseg_ros.backends.base import Backend
from armseg_ros.masks import intersection_areas
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import BoolArray, Detections, Frame

SAME_IOU = 0.9  # of masks; what a robot grips would not change


@dataclass(frozen=True, slots=True)
class Agreement:
    """Instances of two networks at score 0.25.

    Attributes:
        pictures: Pictures that both have seen.
        first: Instances of the first network.
        second: Instances of the second.
        shared: Instances of the first with one of the second that has the same class and a mask
            IoU of at least 0.9.
    """

    pictures: int
    first: int
    second: int
    shared: int

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.pictures} pictures: {self.first} instances in float, {self.second} in int8, "
            f"{self.shared} of them alike (mask IoU {SAME_IOU})"
        )


def compare(first: Backend, second: Backend, frames: Iterable[Frame]) -> Agreement:
    """Segment pictures with two networks and count what both find."""
    segmenters = [Segmenter(backend) for backend in (first, second)]
    counts = np.zeros(4, int)
    for frame in frames:
        found = [segmenter.segment(frame).detections for segmenter in segmenters]
        shared = int(_alike(*found).any(axis=1).sum())
        counts += [1, len(found[0]), len(found[1]), shared]
    return Agreement(*counts.tolist())


def _alike(first: Detections, second: Detections) -> BoolArray:
    """(N, M) bool: instances of one class whose masks have an IoU of ``SAME_IOU`` or more."""
    shared = intersection_areas(first.masks, second.masks)
    areas = [np.array([mask.area for mask in d.masks], int) for d in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    same_class = first.class_ids[:, None] == second.class_ids[None]
    alike: BoolArray = same_class & (shared >= SAME_IOU * union)
    return alike
