# SPDX-License-Identifier: Apache-2.0
"""Curves of one class over score and recall, from its ranked predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.average_precision import Ranking

FloatArray = npt.NDArray[np.float64]
THRESHOLDS = np.linspace(0.0, 1.0, 201)  # of the curves over score: steps of 0.005
MOST_POINTS = 400  # of a precision-recall curve; more cannot be seen
BINS = 10  # of equal width, for calibration
LOWEST_SCORE = 0.05  # for calibration; below it there are crowds of predictions that nobody uses


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCurve:
    """Counts and shares at each of ``THRESHOLDS``, at mask IoU 0.5; a score counts if above.

    Attributes:
        found: (201,) true positives.
        wrong: (201,) false positives.
        missed: (201,) ground truths not found.
        precision: (201,) 0..1; NaN where nothing is left.
        recall: (201,) 0..1.
        f1: (201,) 0..1; 0 where nothing is left.
        best: Threshold with the largest F1; the middle one where several have it.
    """

    found: npt.NDArray[np.intp]
    wrong: npt.NDArray[np.intp]
    missed: npt.NDArray[np.intp]
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    best: float


def threshold_curve(ranking: Ranking) -> ThresholdCurve | None:
    """Follow counts over the score threshold; None without a prediction or a ground truth."""
    truths = int(ranking.truths.sum())
    if not truths or not len(ranking.scores):
        return None
    ascending = ranking.scores[::-1].astype(np.float64)
    left = len(ascending) - np.searchsorted(ascending, THRESHOLDS, side="right")
    found = _first(ranking.found[:, 0], left)
    wrong = _first(~ranking.found[:, 0] & ~ranking.ignored[:, 0], left)
    counted = found + wrong
    precision = np.divide(found, counted, out=np.full(len(left), np.nan), where=counted > 0)
    f1 = 2 * found / (counted + truths)
    highest = np.flatnonzero(f1 == f1.max())
    return ThresholdCurve(
        found,
        wrong,
        truths - found,
        precision,
        found / truths,
        f1,
        float(THRESHOLDS[highest[len(highest) // 2]]),
    )


def _first(rows: npt.NDArray[np.bool_], counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How many of the first ``counts`` rows are True."""
    return np.concatenate([[0], np.cumsum(rows)])[counts]


def precision_recall(ranking: Ranking, level: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Recall, precision and score along the curve at one of COCO's IoU thresholds, thinned out."""
    recall, precision, scores = ranking.curve(level)
    if len(recall) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(recall) - 1, MOST_POINTS).astype(np.intp))
        recall, precision, scores = recall[kept], precision[kept], scores[kept]
    return recall, precision, scores.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Scores against how often they are right, in bins of equal width.

    Attributes:
        predicted: (B,) mean score of each bin that holds any.
        observed: (B,) share of true positives at mask IoU 0.5.
        counts: (B,) predictions.
        error: Mean distance of the two, weighted by counts (expected calibration error), 0..1.
    """

    predicted: FloatArray
    observed: FloatArray
    counts: npt.NDArray[np.intp]
    error: float


def calibrate(ranking: Ranking) -> Calibration | None:
    """Compare scores with outcomes; None where no score is above 0.05."""
    used = (ranking.scores > LOWEST_SCORE) & ~ranking.ignored[:, 0]
    if not used.any():
        return None
    scores, right = ranking.scores[used].astype(np.float64), ranking.found[used, 0]
    place = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    filled = counts > 0
    predicted = np.bincount(place, scores, BINS)[filled] / counts[filled]
    observed = np.bincount(place, right, BINS)[filled] / counts[filled]
    gaps = counts[filled] * np.abs(predicted - observed)
    return Calibration(predicted, observed, counts[filled], float(gaps.sum() / counts.sum()))
