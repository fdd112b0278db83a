# SPDX-License-Identifier: Apache-2.0
"""Figures against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.quality import figures

SCORES = np.array([0.9, 0.8, 0.7, 0.7, 0.2, 0.1])
LABELS = np.array([1, 0, 1, 0, 1, 0], bool)
some = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(some)
def test_auroc_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([s for s, _ in rows], float)
    labels = np.array([label for _, label in rows])
    wins = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]
    expected = np.mean(wins) if wins else None
    assert figures.auroc(scores, labels) == (pytest.approx(expected) if wins else None)


def test_average_precision_by_hand() -> None:
    # Thresholds 0.9, 0.8, 0.7, 0.2: hits 1, 1, 2, 3 of 1, 2, 4, 5.
    expected = (1 / 1 + 2 / 4 + 3 / 5) / 3
    assert figures.average_precision(SCORES, LABELS) == pytest.approx(expected)
    assert figures.average_precision(np.zeros(4), np.array([1, 0, 0, 0], bool)) == 0.25


def test_false_positives_at_a_recall() -> None:
    assert figures.false_positive_rate_at(SCORES, LABELS) == pytest.approx(2 / 3)
    assert figures.false_positive_rate_at(SCORES, LABELS, 0.3) == 0


def test_recall_at_a_budget_of_false_alarms() -> None:
    budget = [figures.recall_at_false_alarms(SCORES, LABELS, 2, rate) for rate in (0, 0.5, 1, 1.5)]
    assert budget == pytest.approx([1 / 3, 1 / 3, 1, 1])
    worst = figures.recall_at_false_alarms(-SCORES, LABELS, 2, 0)
    assert worst == 0


def test_calibration() -> None:
    p = np.repeat([0.2, 0.8], 50)
    labels = np.tile([1, 0, 0, 0, 0], 10).tolist() + np.tile([1, 1, 1, 1, 0], 10).tolist()
    labels = np.array(labels, bool)
    assert figures.calibration_error(p, labels) == pytest.approx(0, abs=1e-9)
    assert figures.brier_skill(p, labels) == pytest.approx(1 - 0.16 / 0.25)
    assert figures.calibration_error(np.full(100, 0.9), labels) == pytest.approx(0.4)
    assert sum(b["count"] for b in figures.reliability(p, labels)) == 100


def test_risk_coverage() -> None:
    p, labels = np.array([0.1, 0.2, 0.9]), np.array([0, 0, 1], bool)
    assert figures.risk_coverage_area(p, labels) == pytest.approx(1 / 9)
    two = np.array([0, 1, 1], bool)
    assert figures.risk_coverage_area(p, two) == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert figures.generalized_risk_coverage_area(p, two) == pytest.approx((1 / 3 + 2 / 3) / 3)


def test_undefined_figures_are_none() -> None:
    for labels in (np.zeros(3, bool), np.ones(3, bool)):
        assert figures.auroc(np.arange(3), labels) is None
        assert figures.false_positive_rate_at(np.arange(3), labels) is None
        assert figures.brier_skill(np.arange(3) / 3, labels) is None
    empty = np.zeros(0), np.zeros(0, bool)
    assert figures.average_precision(*empty) is None
    assert figures.recall_at_false_alarms(*empty, 0, 0.1) is None
    assert figures.calibration_error(*empty) is None
    assert figures.risk_coverage_area(*empty) is None
    assert figures.interval([]) is None
    assert figures.interval([None, None, 1.0]) is None


def test_whole_scenes_are_drawn() -> None:
    groups = np.array([5, 3, 5, 9, 3, 5])
    draws = figures.resamples(groups, repeats=20, seed=1)
    assert len(draws) == 20
    for rows in draws:
        drawn = groups[rows]
        assert [np.sum(drawn == g) % np.sum(groups == g) for g in (3, 5, 9)] == [0, 0, 0]
    again = figures.resamples(groups, repeats=20, seed=1)
    assert all((a == b).all() for a, b in zip(draws, again, strict=True))
    assert figures.resamples(np.zeros(0, int)) == []
    assert figures.resamples(np.zeros(5, int)) == []  # one scene tells nothing of others
