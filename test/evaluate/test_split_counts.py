# SPDX-License-Identifier: Apache-2.0
"""Whole pictures: who is judged, counts and rates, tolerances, and the seed's eight figures."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.evaluate.seed_figures import (
    UNJUDGED,
    as_the_seed_reports,
    seed_figures,
    seed_truth,
)
from armseg_ros.evaluate.split_counts import TOLERANCES, SplitCounts, count_splits, judge_picture
from armseg_ros.evaluate.splits import Outcome
from armseg_ros.types import OBJECT, TOTE, Detections, Instances, Mask

HW = (100, 1000)


def instances(spans: list[tuple[int, int]], classes: list[int], crowd: list[bool]) -> Instances:
    boxes = np.array([[a, 0, b, 100] for a, b in spans], np.float32).reshape(-1, 4)
    masks = tuple(Mask(np.ones((100, b - a), bool), a, 0) for a, b in spans)
    return Instances(boxes, np.array(classes, np.int32), masks, np.array(crowd, bool))


def truth_of(*spans: tuple[int, int]) -> Instances:
    return instances(list(spans), [OBJECT] * len(spans), [False] * len(spans))


def found(*spans: tuple[int, int], scores: list[float] | None = None) -> Detections:
    plain = truth_of(*spans)
    values = np.array(scores or [0.9] * len(spans), np.float32)
    return Detections(plain.boxes, plain.class_ids, plain.masks, plain.crowd, values)


def test_totes_low_scores_and_crowds_are_not_judged() -> None:
    truth = instances([(0, 1000), (0, 100), (500, 900)], [TOTE, OBJECT, OBJECT], [0, 0, 1])
    detections = found((0, 100), (510, 600), (700, 800), (0, 50), scores=[0.9, 0.8, 0.7, 0.1])
    (picture,) = judge_picture(detections, truth, 0.25)
    assert picture.shown.tolist() == [0, 1, 2]
    assert picture.counted.tolist() == [1]
    for judgement in (picture.seed, picture.hoover):
        assert judgement.predictions.tolist() == [1, Outcome.IGNORED, Outcome.IGNORED]
    counts = count_splits(picture)["seed"]
    assert (counts.predictions, counts.truths, counts.correct, counts.noise) == (1, 1, 1, 0)


def test_counts_add_up_to_rates() -> None:
    split = judge_picture(found((0, 50), (50, 100)), truth_of((0, 100), (300, 400)), 0.25)[0]
    merge = judge_picture(found((0, 200)), truth_of((0, 100), (100, 200)), 0.25)[0]
    twice = judge_picture(found((0, 100), (0, 95)), truth_of((0, 100)), 0.25)[0]
    for rule in ("seed", "hoover"):
        total = sum((count_splits(p)[rule] for p in (split, merge, twice)), SplitCounts())
        assert total == SplitCounts(
            pictures=3, pictures_over=2, pictures_under=1, truths=5, predictions=5, correct=0,
            over=2, under=1, merged=2, split_predictions=4, fragments=1, duplicates=1, missed=1,
            noise=0,
        )  # fmt: skip
        rates = total.rates()
        assert rates["over_rate"] == 2 / 5
        assert rates["under_rate"] == 1 / 5
        assert rates["pictures_under_rate"] == 1 / 3


def test_no_prediction_is_a_miss() -> None:
    (picture,) = judge_picture(found(), truth_of((0, 100), (200, 300)), 0.25)
    counts = count_splits(picture)["hoover"]
    assert (counts.missed, counts.correct) == (2, 0)
    assert counts.rates()["missed_rate"] == 1
    assert counts.rates()["under_rate"] is None
    assert set(SplitCounts().rates().values()) == {None}


def test_a_sweep_shares_one_overlap() -> None:
    detections, truth = found((0, 70)), truth_of((0, 100))
    sweep = judge_picture(detections, truth, 0.25, TOLERANCES)
    assert [p.tolerance for p in sweep] == pytest.approx(np.arange(0.5, 0.96, 0.05))
    assert [len(p.hoover.correct) for p in sweep] == [1] * 5 + [0] * 5  # 70 % inside: up to 0.7
    assert len({id(p.overlap) for p in sweep}) == 1


def test_the_seeds_figures() -> None:
    truth = truth_of((0, 100), (200, 300), (300, 400), (500, 505))
    detections = found((0, 50), (50, 100), (200, 400), scores=[0.9, 0.5, 0.4])
    (picture,) = judge_picture(detections, truth, 0.25)
    figures = seed_figures(picture, detections, truth, HW)
    assert figures == {
        "Over_Segmented_metric": 1,
        "Under_Segmented_metric": 1,
        "Over_Segmented_Instances_count": 1,
        "Under_Segmented_Instances_count": 1,
        "Average_segments_num_Over_Segmented": 2.0,
        "Average_segments_num_Under_Segmented": 2.0,
        "Small_BB_Under_Segmtented": 0,
        "Over_Segment_confidences": pytest.approx(0.7),
    }
    assert as_the_seed_reports(figures) == figures


def test_a_small_box_in_a_merge_is_told() -> None:
    small = Mask(np.ones((5, 5), bool), 60, 5)  # 25 of 100 000 pixels is below 0.0003
    boxes = np.array([[0, 0, 50, 100], [60, 5, 65, 10]], np.float32)
    masks = (Mask(np.ones((100, 50), bool), 0, 0), small)
    truth = Instances(boxes, np.zeros(2, np.int32), masks, np.zeros(2, bool))
    detections = found((0, 70))
    (picture,) = judge_picture(detections, truth, 0.25)
    assert seed_figures(picture, detections, truth, HW)["Small_BB_Under_Segmtented"] == 1


def test_without_predictions_nothing_is_claimed_unless_the_seed_is_asked() -> None:
    detections, truth = found(), truth_of((0, 100))
    (picture,) = judge_picture(detections, truth, 0.25)
    figures = seed_figures(picture, detections, truth, HW)
    assert figures.keys() == UNJUDGED.keys()
    assert set(figures.values()) == {None}
    assert as_the_seed_reports(figures) == UNJUDGED


def test_the_seed_reads_twenty_annotations() -> None:
    cut = seed_truth(truth_of(*((10 * k, 10 * k + 9) for k in range(25))))
    assert len(cut) == 20
    assert cut.masks[-1].x == 190
