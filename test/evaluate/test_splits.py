# SPDX-License-Identifier: Apache-2.0
"""The rules on constructed cases, planted errors, empty pictures and random masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.evaluate.overlap import Overlap, variation_of_information
from armseg_ros.evaluate.splits import (
    Group,
    Judgement,
    Outcome,
    hoover_rule,
    is_duplicate,
    seed_rule,
    soft_over,
    soft_under,
)
from armseg_ros.types import Mask

Spans = list[tuple[int, int]]


def strip(spans: Spans) -> tuple[Mask, ...]:
    """Masks that fill the given columns of a strip 4 pixels high."""
    return tuple(Mask(np.ones((4, end - start), bool), start, 0) for start, end in spans)


def judge(predictions: Spans, truth: Spans, tolerance: float = 0.8) -> tuple[Judgement, Judgement]:
    p, g = strip(predictions), strip(truth)
    overlap = Overlap.of(p, g)
    return seed_rule(overlap, tolerance), hoover_rule(overlap, p, g, tolerance)


def verdict(judgement: Judgement) -> str:
    return "+".join(["over"] * bool(judgement.over) + ["under"] * bool(judgement.under)) or "no"


TWO = [(0, 100), (100, 200)]
CASES = {
    # name: predictions, truth, seed rule, Hoover, VI split, VI merge
    "exact": ([(0, 100)], [(0, 100)], "no", "no", 0, 0),
    "two halves": ([(0, 50), (50, 100)], [(0, 100)], "over", "over", 1.0, 0),
    "halves cover 60 %": ([(0, 30), (30, 60)], [(0, 100)], "over", "no", 1.57, 0),
    "nested duplicate": ([(0, 100), (0, 15)], [(0, 100)], "over", "over", 0.61, 0),
    "near duplicate": ([(0, 100), (0, 97)], [(0, 100)], "over", "over", 0.19, 0),
    "sliver": ([(0, 85), (85, 100)], [(0, 100)], "over", "over", 0.61, 0),
    "spilling half": ([(0, 50), (50, 117), (117, 200)], TWO, "no", "no", 0.83, 0.27),
    "exact merge": ([(0, 200)], TWO, "under", "under", 0, 1.0),
    "second 70 % inside": ([(0, 170)], TWO, "no", "no", 0.44, 0.83),
    "big one and sliver": ([(0, 220)], [(0, 200), (200, 220)], "under", "under", 0, 0.44),
    "two and background": ([(0, 360)], TWO, "under", "no", 0, 1.0),
    "merge, one also found": ([(0, 200), (100, 200)], TWO, "under", "under", 0, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_constructed_cases(name: str) -> None:
    predictions, truth, seed, hoover, split, merge = CASES[name]
    found = judge(predictions, truth)
    assert [verdict(judgement) for judgement in found] == [seed, hoover]
    bits = variation_of_information(strip(predictions), strip(truth))
    assert bits == pytest.approx((split, merge), abs=0.005)


def test_outcomes_of_a_split_with_a_hole_and_of_a_spilling_half() -> None:
    seed, hoover = judge([(0, 30), (30, 60)], [(0, 100)])
    assert seed.truth.tolist() == [Outcome.OVER]
    assert seed.predictions.tolist() == [Outcome.OVER, Outcome.OVER]
    assert hoover.truth.tolist() == [Outcome.UNMATCHED]
    assert hoover.predictions.tolist() == [Outcome.UNMATCHED] * 2
    seed, hoover = judge([(0, 50), (50, 117), (117, 200)], TWO)
    for judgement in (seed, hoover):
        assert judgement.correct == ((2, 1),)
        assert judgement.truth.tolist() == [Outcome.UNMATCHED, Outcome.CORRECT]
        assert judgement.predictions.tolist() == [0, 0, Outcome.CORRECT]


def test_exactly_the_tolerance_passes_hoover_and_not_the_seed_rule() -> None:
    seed, hoover = judge([(0, 80)], [(0, 100)])
    assert (seed.correct, hoover.correct) == ((), ((0, 0),))


def test_coverage_is_a_union_and_not_a_sum() -> None:
    seed, hoover = judge([(0, 45), (0, 44)], [(0, 100)])
    assert (verdict(seed), verdict(hoover)) == ("over", "no")


def test_planted_errors_are_found_one_for_one() -> None:
    truth = [(100 * k, 100 * k + 90) for k in range(6)]
    predictions = [
        (0, 90),  # correct
        (100, 145), (145, 190),  # object 1 in two fragments
        (200, 390),  # objects 2 and 3 in one
        (400, 490), (402, 488),  # object 4 twice
        (700, 790),  # noise; object 5 is missed
    ]  # fmt: skip
    p, g = strip(predictions), strip(truth)
    overlap = Overlap.of(p, g)
    for judgement in (seed_rule(overlap), hoover_rule(overlap, p, g)):
        assert judgement.over == (Group(1, (1, 2)), Group(4, (4, 5)))
        assert judgement.under == (Group(3, (2, 3)),)
        assert judgement.truth.tolist() == [1, 2, 3, 3, 2, 0]
        assert judgement.predictions.tolist() == [1, 2, 2, 3, 2, 2, 0]
        kinds = {group.whole: is_duplicate(group, overlap) for group in judgement.over}
        assert kinds == {1: False, 4: True}
        assert judgement.split_predictions().tolist() == [0, 1, 1, 0, 1, 1, 0]
        assert judgement.merging_predictions().tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_soft_scores() -> None:
    overlap = Overlap.of(strip([(0, 60), (60, 90), (0, 200)]), strip(TWO))
    np.testing.assert_allclose(soft_over(overlap), [0.3, 0.0])
    np.testing.assert_allclose(soft_under(overlap), [0, 0, 1])
    lone = Overlap.of(strip([(0, 60)]), strip([(0, 100)]))
    assert soft_over(lone).tolist() == soft_under(lone).tolist() == [0]


@pytest.mark.parametrize(("predictions", "truth"), [([], []), ([], TWO), (TWO, [])])
def test_nothing_on_one_side(predictions: Spans, truth: Spans) -> None:
    for judgement in judge(predictions, truth):
        assert verdict(judgement) == "no"
        assert judgement.predictions.tolist() == [Outcome.UNMATCHED] * len(predictions)
        assert judgement.truth.tolist() == [Outcome.UNMATCHED] * len(truth)
    overlap = Overlap.of(strip(predictions), strip(truth))
    assert soft_over(overlap).shape == (len(truth),)
    assert soft_under(overlap).shape == (len(predictions),)


def test_empty_masks_belong_to_nothing() -> None:
    empty = Mask(np.zeros((0, 0), bool), 3, 0)
    masks = (empty, empty, *strip([(0, 100)]))
    overlap = Overlap.of(masks, masks)
    assert seed_rule(overlap).truth.tolist() == [0, 0, 1]
    assert hoover_rule(overlap, masks, masks).truth.tolist() == [0, 0, 1]


spans = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 20)).map(lambda t: (t[0], t[0] + t[1])), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(spans, spans, st.sampled_from([0.5, 0.65, 0.8, 0.95]))
def test_rules_are_consistent(predictions: Spans, truth: Spans, tolerance: float) -> None:
    seed, hoover = judge(predictions, truth, tolerance)
    assert {g.whole for g in hoover.under} <= {
        i for i, o in enumerate(hoover.predictions) if o == Outcome.UNDER
    }
    # Hoover gives every instance to one group at most.
    used_predictions = [i for g in hoover.over for i in g.parts]
    used_predictions += [g.whole for g in hoover.under] + [i for i, _ in hoover.correct]
    used_truth = [j for g in hoover.under for j in g.parts]
    used_truth += [g.whole for g in hoover.over] + [j for _, j in hoover.correct]
    assert (
        len(set(used_predictions)) == len(used_predictions) == int((hoover.predictions > 0).sum())
    )
    assert len(set(used_truth)) == len(used_truth) == int((hoover.truth > 0).sum())
    for judgement in (seed, hoover):
        assert all(len(g.parts) >= 2 for g in (*judgement.over, *judgement.under))


@settings(max_examples=60, deadline=None)
@given(spans, spans, st.sampled_from([0.5, 0.8]))
def test_over_is_under_with_the_sides_exchanged(p: Spans, g: Spans, tolerance: float) -> None:
    there, back = judge(p, g, tolerance)[0], judge(g, p, tolerance)[0]
    assert there.over == back.under
    assert there.under == back.over


@settings(max_examples=60, deadline=None)
@given(spans)
def test_disjoint_truth_against_itself_is_correct(truth: Spans) -> None:
    cursor, apart = 0, []
    for start, end in truth:
        apart.append((cursor, cursor + end - start))
        cursor += end - start
    for judgement in judge(apart, apart):
        assert judgement.correct == tuple((k, k) for k in range(len(apart)))
        assert set(judgement.truth.tolist()) <= {Outcome.CORRECT}
