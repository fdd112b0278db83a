# SPDX-License-Identifier: Apache-2.0
"""Who found whom: rectangles with fractions as answers."""

from __future__ import annotations

import numpy as np
import pytest
import totes
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.evaluate.answer import Answer
from armseg_ros.evaluate.counts import Counts, count_matches
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.evaluate.matching import Matches, match
from armseg_ros.types import OBJECT, TOTE, Detections, Instances, Mask, StageTimes


def matched(found: Detections, truth: Instances) -> Matches:
    predictions = result_records(found, 1, totes.HW)
    annotations = truth_records(truth, 1, totes.HW)
    masks = [[r["segmentation"] for r in records] for records in (predictions, annotations)]
    return match(found, truth, masks[0], masks[1])


def box(x: int, width: int) -> Mask:
    return totes.box_mask(x, 0, width, 10)


def test_the_better_score_chooses_first() -> None:
    found = totes.detections([box(0, 8), box(0, 10)], [OBJECT] * 2, [0.9, 0.8])
    result = matched(found, totes.instances([box(0, 10)], [OBJECT]))
    assert result.truth_of.tolist() == [0, -1]
    assert result.prediction_of.tolist() == [0]
    np.testing.assert_allclose(result.iou, [[0.8], [1.0]])


def test_the_best_overlap_is_chosen() -> None:
    found = totes.detections([box(2, 10)], [OBJECT], [0.9])
    result = matched(found, totes.instances([box(0, 10), box(2, 9)], [OBJECT] * 2))
    assert result.truth_of.tolist() == [1]
    assert result.prediction_of.tolist() == [-1, 0]
    np.testing.assert_allclose(result.iou, [[8 / 12, 9 / 10]])


def test_half_is_enough_and_less_is_not() -> None:
    truth = totes.instances([box(0, 10)], [OBJECT])
    assert matched(totes.detections([box(0, 5)], [OBJECT], [0.9]), truth).truth_of[0] == 0
    assert matched(totes.detections([box(0, 4)], [OBJECT], [0.9]), truth).truth_of[0] == -1


def test_classes_do_not_meet() -> None:
    found = totes.detections([box(0, 10)], [TOTE], [0.9])
    result = matched(found, totes.instances([box(0, 10)], [OBJECT]))
    assert result.truth_of.tolist() == [-1]
    assert result.iou.tolist() == [[0.0]]


def test_a_crowd_excuses_but_is_not_found() -> None:
    truth = totes.instances([box(0, 40)], [OBJECT], [True])
    found = totes.detections([box(0, 10), box(35, 10), box(50, 5)], [OBJECT] * 3, [0.9, 0.8, 0.7])
    result = matched(found, truth)
    assert result.truth_of.tolist() == [-1, -1, -1]
    assert result.prediction_of.tolist() == [-1]
    assert result.ignored.tolist() == [True, True, False]


@pytest.mark.parametrize(("predictions", "truths"), [(0, 0), (2, 0), (0, 2)])
def test_nothing_to_match(predictions: int, truths: int) -> None:
    found = totes.detections([box(0, 9)] * predictions, [0] * predictions, [0.5] * predictions)
    result = matched(found, totes.instances([box(0, 9)] * truths, [0] * truths))
    assert result.iou.shape == (predictions, truths)
    assert (result.truth_of == -1).all()
    assert (result.prediction_of == -1).all()
    assert not result.ignored.any()


boxes = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(0, 1)), max_size=6)


@settings(deadline=None)  # machines in use are slow at times
@given(boxes, boxes, st.integers(0, 6))
def test_matches_above_a_threshold_do_not_depend_on_those_below(
    predicted: list[tuple[int, int, int]], labelled: list[tuple[int, int, int]], kept: int
) -> None:
    truth = totes.instances([box(x, w) for x, w, _ in labelled], [c for *_, c in labelled])

    def of(parts: list[tuple[int, int, int]]) -> Matches:
        scores = np.linspace(0.9, 0.1, len(parts)).tolist()
        found = totes.detections([box(x, w) for x, w, _ in parts], [c for *_, c in parts], scores)
        return matched(found, truth)

    everything, first = of(predicted), of(predicted[:kept])
    assert everything.truth_of[:kept].tolist() == first.truth_of.tolist()
    found = [t for t in everything.truth_of.tolist() if t >= 0]
    assert len(found) == len(set(found))
    for prediction, index in enumerate(everything.truth_of.tolist()):
        assert index < 0 or everything.prediction_of[index] == prediction


def counted(found: Detections, truth: Instances | None, threshold: float) -> dict[str, Counts]:
    answer = Answer(found, None, StageTimes())
    matches = None if truth is None else matched(found, truth)
    result = FrameResult(
        "a", 1, {}, totes.HW, 0, "answered", answer=answer, truth=truth, matches=matches
    )
    return count_matches(result, threshold)


def test_counts_at_a_threshold() -> None:
    masks = [box(0, 10), box(1, 10), box(30, 5), box(50, 5), box(20, 8)]
    found = totes.detections(masks, [OBJECT] * 5, [0.9, 0.8, 0.7, 0.6, 0.2])
    truth_masks = [box(0, 10), box(20, 8), box(29, 20), box(0, 60)]
    truth = totes.instances(
        truth_masks, [OBJECT, OBJECT, OBJECT, TOTE], [False, False, True, False]
    )
    counts = counted(found, truth, 0.25)
    assert counts["Object"] == Counts(4, 1, 2, 1)  # the one in the crowd counts for nothing
    assert counts["Object"].precision == pytest.approx(1 / 3)
    assert counts["Object"].recall == pytest.approx(1 / 2)
    assert counts["Tote"] == Counts(0, 0, 0, 1)
    assert counts["Tote"].precision is None
    assert counted(found, truth, 0.1)["Object"] == Counts(5, 2, 2, 0)


def test_counts_without_truth() -> None:
    counts = counted(totes.detections([box(0, 9)], [OBJECT], [0.9]), None, 0.25)
    assert counts["Object"] == Counts(predicted=1)
    assert counts["Object"].recall is None
    assert Counts(1, 2, 3, 4) + Counts(1, 1, 1, 1) == Counts(2, 3, 4, 5)
