# SPDX-License-Identifier: Apache-2.0
"""Counts at one score threshold: what a user of the node sees, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.types import CLASS_NAMES


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one class at mask IoU 0.5.

    Attributes:
        predicted: Predictions above the threshold.
        true_positives: Of these, the ones that found a ground truth.
        false_positives: Of these, the ones that found none and do not lie in a crowd.
        missed: Ground truth that no prediction above the threshold found, crowds aside.
    """

    predicted: int = 0
    true_positives: int = 0
    false_positives: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.predicted + other.predicted,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.missed + other.missed,
        )

    @property
    def precision(self) -> float | None:
        """Share of counted predictions that are right; None without any."""
        counted = self.true_positives + self.false_positives
        return self.true_positives / counted if counted else None

    @property
    def recall(self) -> float | None:
        """Share of the ground truth that was found; None without any."""
        truths = self.true_positives + self.missed
        return self.true_positives / truths if truths else None


def count_matches(result: FrameResult, score_threshold: float) -> dict[str, Counts]:
    """Count one answered picture by class name; unlabelled ones have only ``predicted``."""
    assert result.answer is not None
    detections, truth, matches = result.answer.detections, result.truth, result.matches
    out = {}
    for class_id, name in enumerate(CLASS_NAMES):
        shown = (detections.class_ids == class_id) & (detections.scores > score_threshold)
        predicted = int(np.count_nonzero(shown))
        if truth is None or matches is None:
            out[name] = Counts(predicted)
            continue
        found = int(np.count_nonzero(shown & (matches.truth_of >= 0)))
        ignored = int(np.count_nonzero(shown & matches.ignored))
        truths = int(np.count_nonzero((truth.class_ids == class_id) & ~truth.crowd))
        out[name] = Counts(predicted, found, predicted - found - ignored, truths - found)
    return out
