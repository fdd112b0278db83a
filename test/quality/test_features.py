# SPDX-License-Identifier: Apache-2.0
"""Features on made-up scenes, and bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from quality.made_up import Answer, Row, answer

from armseg_ros.config import DecodeConfig
from armseg_ros.quality.evidence import Evidence, gather
from armseg_ros.quality.features import Features, compute_features, feature_names
from armseg_ros.quality.pairs import MAX_PAIRS, PAIR_FEATURES, strongest_margin
from armseg_ros.types import Detections, RawOutput

LEFT, RIGHT, BOTH = (100, 200, 200, 300), (200, 200, 300, 300), (100, 200, 300, 300)


def describe(made: Answer) -> tuple[Evidence, Features]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = gather(made.candidates, made.detections, made.raw, made.tensor)
        return evidence, compute_features(evidence)


def column(features: Features, name: str) -> list[float]:
    return features.instances[:, features.names.index(name)].tolist()


def pair_column(features: Features, name: str) -> list[float]:
    return features.pairs.features[:, PAIR_FEATURES.index(name)].tolist()


def test_the_grid_is_shared_and_has_eighty_cells() -> None:
    evidence, features = describe(answer([Row(LEFT)]))
    assert evidence.grid_hw == (80, 80)
    assert evidence.masks.sum() == 12 * 13  # 100 pixels are 12.5 cells
    assert column(features, "log_area") == [pytest.approx(np.log(156))]
    assert column(features, "solidity") == [1]
    assert len(set(features.names)) == len(features.names)
    assert features.names == feature_names()


def test_two_disjoint_parts_among_the_candidates_speak_for_a_merge() -> None:
    parts = [Row(LEFT, 0.2), Row(RIGHT, 0.15)]
    _, whole = describe(answer([Row(BOTH)]))
    _, torn = describe(answer([Row(BOTH), *parts]))
    for name in ("children_disjoint", "children_score_max", "mask_two_parts", "mask_part_score"):
        assert column(whole, name) == [0]
        assert column(torn, name)[0] > 0.1, name
    assert column(torn, "children_score_max") == [pytest.approx(0.2)]
    assert column(torn, "children_disjoint") == [pytest.approx(0.15, abs=0.01)]


def test_a_common_parent_among_the_candidates_speaks_for_a_split() -> None:
    kept = [Row(LEFT), Row(RIGHT, 0.8)]
    _, apart = describe(answer(kept))
    _, joined = describe(answer([*kept, Row(BOTH, 0.2)]))
    for name in ("parent", "mask_parent"):
        assert pair_column(apart, name) == [0]
        assert pair_column(joined, name) == [pytest.approx(0.2, abs=0.02)], name
    assert column(joined, "pair_parent") == pytest.approx([0.2, 0.2], abs=0.01)


def test_a_pair_that_lights_up_in_one_another() -> None:
    rows = [Row(LEFT, 0.9, 1), Row(RIGHT, 0.8, 2), Row((400, 400, 500, 500), 0.7, 3)]
    _, dark = describe(answer(rows, [LEFT, RIGHT, (400, 400, 500, 500)]))
    _, lit = describe(answer(rows, [BOTH, RIGHT, (400, 400, 500, 500)]))
    assert pair_column(dark, "leak_max") == [0]  # they touch, so they are a pair
    assert pair_column(lit, "leak_max")[0] == 1
    assert column(lit, "cropped_share")[0] == pytest.approx(0.5, abs=0.05)
    assert (dark.pairs.first.tolist(), dark.pairs.second.tolist()) == ([0], [1])


def test_one_inside_another() -> None:
    rows = [Row(BOTH, 0.9), Row((120, 220, 180, 280), 0.8)]
    _, features = describe(answer(rows))
    assert pair_column(features, "mask_iomin") == [1]
    assert pair_column(features, "box_iomin") == [1]
    assert column(features, "inside_count") == pytest.approx([np.log(2), 0])


def test_colours_of_a_pair_and_the_edge_between() -> None:
    """The picture is red on the left and blue on the right of column 320."""
    _, apart = describe(answer([Row((220, 100, 316, 300)), Row((324, 100, 420, 300), 0.8)]))
    _, alike = describe(answer([Row((20, 100, 116, 300)), Row((124, 100, 220, 300), 0.8)]))
    assert pair_column(apart, "colour_distance")[0] > 10 * pair_column(alike, "colour_distance")[0]
    assert pair_column(apart, "colour_overlap")[0] < 0.1 < pair_column(alike, "colour_overlap")[0]
    assert pair_column(apart, "border_edge")[0] > 2 * pair_column(alike, "border_edge")[0]


def test_a_waist() -> None:
    dumbbell = answer([Row((100, 100, 400, 260), 0.9, 1)], [(100, 100, 230, 260)])
    planes = dumbbell.raw.prototypes.copy()
    planes[1, 25:65, 65:100] = 4  # the second lobe
    planes[1, 42:48, 57:66] = 1  # a thin bridge of low logits
    raw = RawOutput(dumbbell.raw.candidates.copy(), planes)
    _, features = describe(dumbbell._replace(raw=raw))
    assert column(features, "waist")[0] > 0.5
    assert column(features, "valley")[0] > 0.5
    assert column(features, "parts") == [1]


def test_tote_coverage() -> None:
    _, features = describe(answer([Row((0, 0, 320, 640)), Row((0, 0, 640, 640), 0.8, tote=True)]))
    assert features.tote_coverage == pytest.approx(0.5)
    assert len(features.instances) == 1
    assert np.isnan(describe(answer([Row(LEFT)]))[1].tote_coverage)


def test_no_instance() -> None:
    for rows in ([], [Row(LEFT, 0.1)], [Row(BOTH, tote=True)]):
        evidence, features = describe(answer(rows))
        assert len(evidence) == len(features.pairs) == 0
        assert features.instances.shape == (0, len(features.names))


def test_all_on_one_place() -> None:
    rows = [Row((100 + k, 100, 300 + k, 300), 0.9 - k / 100) for k in range(12)]
    _, features = describe(answer(rows, config=DecodeConfig(iou_threshold=1.0)))
    assert features.instances.shape[0] == 12
    assert np.isfinite(features.instances).all()
    assert len(features.pairs) == MAX_PAIRS


def test_a_hundred_instances_of_one_cell() -> None:
    places = [(6.4 * k % 640, 64 * (k // 10)) for k in range(0, 1000, 10)]
    rows = [Row((x, y, x + 9, y + 9), 0.9 - k / 200) for k, (x, y) in enumerate(places)]
    _, features = describe(answer(rows))
    assert len(features.instances) == 100
    assert np.isfinite(features.instances).all()


def test_masks_of_one_pixel_none_and_outside() -> None:
    rows = [
        Row((12, 12, 13, 13)),  # between two sampled places: an empty mask
        Row((50, 50, 58, 58)),
        Row((-80, -80, -10, -10)),
        Row((630, 630, 700, 700)),
    ]
    evidence, features = describe(answer(rows))
    assert sorted(evidence.masks.sum(axis=(1, 2)).tolist()) == [0, 0, 1, 1]
    assert np.isfinite(features.instances).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(value: float) -> None:
    made = answer([Row(LEFT), Row(RIGHT, 0.8)])
    planes = made.raw.prototypes.copy()
    planes[0, 60] = value
    raw = RawOutput(made.raw.candidates.copy(), planes)
    evidence, features = describe(made._replace(raw=raw))
    assert not evidence.finite
    assert np.isfinite(features.instances).all()
    assert describe(made)[0].finite


def test_candidates_of_another_picture_are_refused() -> None:
    one, two = answer([Row(LEFT)]), answer([Row(LEFT), Row(RIGHT)])
    none = Detections(
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int32),
        (),
        np.zeros(0, bool),
        np.zeros(0, np.float32),
    )
    for detections in (two.detections, none):
        with pytest.raises(ValueError, match="one call of decode"):
            gather(one.candidates, detections, one.raw, one.tensor)


def test_the_strongest_pair_of_each_instance() -> None:
    rows = np.array([[0, 1], [1, 2]])
    assert strongest_margin(rows, np.array([-1.0, 3.0]), 4).tolist() == [-1, 3, 3, -8]
    assert strongest_margin(np.zeros((0, 2), int), np.zeros(0), 1).tolist() == [-8]


def test_one_instance_inside_another() -> None:
    """The outer one holds the inner one, with its score; nothing holds the outer one."""
    outer, inner, apart = (100, 100, 400, 400), (150, 150, 250, 250), (500, 500, 600, 600)
    made = answer([Row(outer, 0.9), Row(inner, 0.8), Row(apart, 0.7)])
    features = compute_features(gather(made.candidates, made.detections, made.raw, made.tensor))
    column = {name: features.instances[:, k] for k, name in enumerate(features.names)}
    np.testing.assert_allclose(column["holds_share"], [1, 0, 0], atol=0.02)
    np.testing.assert_allclose(column["held_share"], [0, 1, 0], atol=0.02)
    np.testing.assert_allclose(column["holds_score"], [0.8, 0, 0], atol=1e-6)
    np.testing.assert_allclose(column["held_score"], [0, 0.9, 0], atol=1e-6)
    np.testing.assert_allclose(column["holds_count"], [np.log(2), 0, 0], atol=1e-6)
    np.testing.assert_allclose(column["holds_union"], [1 / 9, 0, 0], atol=0.02)
