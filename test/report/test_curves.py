# SPDX-License-Identifier: Apache-2.0
"""Curves over score and recall, with answers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.evaluate.average_precision import Ranking
from armseg_ros.report.curves import (
    MOST_POINTS,
    THRESHOLDS,
    calibrate,
    precision_recall,
    threshold_curve,
)


def ranking(scores: list[float], right: list[bool], truths: int, ignored: int = -1) -> Ranking:
    found = np.repeat(np.array(right, bool)[:, None], 10, axis=1)
    excused = np.zeros_like(found)
    excused[ignored : ignored + 1 or None] = ignored >= 0
    return Ranking(
        np.array(scores, np.float32), np.zeros(len(scores), int), found, excused, np.array([truths])
    )


def test_counts_at_thresholds_by_hand() -> None:
    curve = threshold_curve(ranking([0.9, 0.8, 0.3, 0.1], [True, True, False, True], truths=4))
    assert curve is not None

    def at(threshold: float) -> tuple[int, int, int]:
        step = int(np.searchsorted(THRESHOLDS, threshold))
        return curve.found[step], curve.wrong[step], curve.missed[step]

    assert at(0.0) == (3, 1, 1)
    assert at(0.2) == (2, 1, 2)
    assert at(0.5) == (2, 0, 2)
    assert at(0.85) == (1, 0, 3)
    assert at(1.0) == (0, 0, 4)
    assert np.isnan(curve.precision[-1])
    assert curve.f1[0] == pytest.approx(2 * 3 / (4 + 4))
    assert curve.best < 0.1  # F1 0.75; from 0.3 on it is 2/3


def test_the_best_threshold_is_in_the_middle_of_equals() -> None:
    curve = threshold_curve(ranking([0.9, 0.3], [True, False], truths=1))
    assert curve is not None
    assert curve.best == pytest.approx(0.6, abs=0.01)  # alike between 0.3 and 0.9


def test_an_excused_prediction_is_not_wrong() -> None:
    curve = threshold_curve(ranking([0.9, 0.3], [True, False], truths=1, ignored=1))
    assert curve is not None
    assert curve.wrong.max() == 0


def test_nothing_gives_no_curve() -> None:
    assert threshold_curve(ranking([], [], truths=3)) is None
    assert threshold_curve(ranking([0.5], [False], truths=0)) is None
    assert calibrate(ranking([], [], truths=3)) is None
    assert calibrate(ranking([0.01], [True], truths=3)) is None


def test_a_long_curve_is_thinned_to_its_ends() -> None:
    count = 5000
    recall, precision, scores = precision_recall(
        ranking(np.linspace(1, 0.1, count).tolist(), [True] * count, truths=count), 0
    )
    assert len(recall) == len(precision) == len(scores) == MOST_POINTS
    assert (recall[0], recall[-1]) == (1 / count, 1.0)


def test_calibration_by_hand() -> None:
    found = calibrate(ranking([0.95, 0.95, 0.25, 0.25, 0.02], [True, True, True, False, False], 3))
    assert found is not None
    np.testing.assert_allclose(found.predicted, [0.25, 0.95], atol=1e-6)
    np.testing.assert_allclose(found.observed, [0.5, 1.0])
    assert found.counts.tolist() == [2, 2]
    assert found.error == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)
