# SPDX-License-Identifier: Apache-2.0
"""Overlay pictures of a run."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2

from armseg_ros.data.coco import safe_name
from armseg_ros.errors import DataError
from armseg_ros.overlay import draw_overlay
from armseg_ros.quality.draw import draw_suspects
from armseg_ros.quality.result import Quality
from armseg_ros.types import Detections, Frame

WIDTH_PX = 1280
_LONGEST_NAME = 180  # file systems allow 255 bytes


class OverlayFolder:
    """Writes overlays of some frames, spread evenly over all of them."""

    def __init__(self, folder: Path, expected: int, wanted: int, score_threshold: float) -> None:
        """Make the folder.

        Args:
            folder: Where the JPEG files go.
            expected: How many frames there are.
            wanted: How many of them to draw, at most.
            score_threshold: Lowest score that is drawn.
        """
        self._folder, self._expected = folder, expected
        self._wanted, self._score_threshold = min(wanted, expected), score_threshold
        folder.mkdir(parents=True, exist_ok=True)

    def add(
        self, index: int, frame: Frame, detections: Detections, quality: Quality | None = None
    ) -> None:
        """Draw the frame if its turn has come; ``index`` counts all frames from 0.

        Raises:
            DataError: The file cannot be written.
        """
        turn = index * self._wanted // self._expected
        if turn == (index - 1) * self._wanted // self._expected:
            return
        suffix = PurePosixPath(frame.sample_id).suffix
        stem = safe_name(frame.sample_id).removesuffix(suffix)[-_LONGEST_NAME:]
        path = self._folder / f"{index + 1:05d}_{stem}.jpg"
        scale = min(1.0, WIDTH_PX / frame.hw[1])
        drawn = draw_overlay(frame.image, above(detections, self._score_threshold), scale)
        if quality is not None:
            draw_suspects(drawn, detections, quality, scale)
        if not cv2.imwrite(str(path), drawn):
            raise DataError(f"{path} cannot be written; is the disk full?")


def above(detections: Detections, score_threshold: float) -> Detections:
    """Keep the detections above a score; they are sorted, so these are the first ones."""
    count = int((detections.scores > score_threshold).sum())
    return Detections(
        boxes=detections.boxes[:count],
        class_ids=detections.class_ids[:count],
        masks=detections.masks[:count],
        crowd=detections.crowd[:count],
        scores=detections.scores[:count],
    )
