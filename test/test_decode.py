# SPDX-License-Identifier: Apache-2.0
"""Candidates, suppression and crop masks on made-up rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.config import DecodeConfig
from armseg_ros.decode import decode, select_candidates, suppress
from armseg_ros.errors import ConfigError
from armseg_ros.letterbox import Letterbox
from armseg_ros.masks import box_iou, full_mask
from armseg_ros.types import RawOutput

SQUARE = Letterbox.fit((64, 64), (64, 64))


def raw(rows: list[list[float]], prototypes: np.ndarray | None = None) -> RawOutput:
    """Rows of cx, cy, w, h, objectness, two class scores, one mask coefficient."""
    if prototypes is None:
        prototypes = np.ones((1, 16, 16), np.float32)
    return RawOutput(np.array(rows, np.float32).reshape(-1, 8), prototypes)


def test_nothing_found() -> None:
    detections, candidates = decode(raw([[8, 8, 4, 4, 0.01, 1, 0, 1]]), SQUARE, DecodeConfig())
    assert len(detections) == len(candidates) == 0
    assert detections.boxes.shape == (0, 4)
    detections, _ = decode(raw([]), SQUARE, DecodeConfig())
    assert len(detections) == 0


def test_suppression_remembers_who_suppressed_whom() -> None:
    rows = [
        [20, 20, 20, 20, 0.9, 1, 0, 1],  # kept, instance 0
        [50, 50, 10, 10, 0.8, 1, 0, 1],  # kept, instance 1
        [21, 20, 20, 20, 0.7, 1, 0, 1],  # under instance 0
        [50, 51, 10, 10, 0.1, 1, 0, 1],  # low score, under instance 1
        [20, 50, 10, 10, 0.1, 1, 0, 1],  # low score, alone
        [20, 20, 20, 20, 0.6, 0, 1, 1],  # another class: kept, instance 2
    ]
    detections, candidates = decode(raw(rows), SQUARE, DecodeConfig())
    np.testing.assert_allclose(detections.scores, [0.9, 0.8, 0.6])
    np.testing.assert_array_equal(detections.class_ids, [0, 0, 1])
    np.testing.assert_allclose(candidates.scores, [0.9, 0.8, 0.7, 0.6, 0.1, 0.1])
    np.testing.assert_array_equal(candidates.suppressed_by[:4], [0, 1, 0, 2])
    assert sorted(candidates.suppressed_by[4:]) == [-1, 1]


def test_class_agnostic_suppression_meets_every_class() -> None:
    rows = [[20, 20, 20, 20, 0.9, 1, 0, 1], [20, 20, 20, 20, 0.6, 0, 1, 1]]
    detections, _ = decode(raw(rows), SQUARE, DecodeConfig(class_agnostic=True))
    assert len(detections) == 1


def test_limits_classes_and_bad_rows() -> None:
    rows = [[8 + 12 * k, 8, 6, 6, 0.9 - k / 10, 1, 0, 1] for k in range(4)]
    rows.append([float("nan"), 8, 6, 6, 0.99, 1, 0, 1])
    rows.append([8, 40, float("inf"), 6, 0.99, 1, 0, 1])
    rows.append([8, 40, 6, 6, float("nan"), 1, 0, 1])
    assert len(decode(raw(rows), SQUARE, DecodeConfig())[0]) == 4
    assert len(decode(raw(rows), SQUARE, DecodeConfig(max_detections=2))[0]) == 2
    assert len(decode(raw(rows), SQUARE, DecodeConfig(class_ids=(1,)))[0]) == 0


def test_multi_label_makes_one_instance_of_each_class() -> None:
    row = [[20, 20, 20, 20, 1.0, 0.8, 0.5, 1]]
    assert len(decode(raw(row), SQUARE, DecodeConfig())[0]) == 1
    assert len(decode(raw(row), SQUARE, DecodeConfig(multi_label=True))[0]) == 2


def test_mask_fills_the_box_where_every_logit_is_positive() -> None:
    detections, _ = decode(raw([[20, 30, 10, 8, 1, 1, 0, 1]]), SQUARE, DecodeConfig())
    mask = full_mask(detections.masks[0], (64, 64))
    expected = np.zeros((64, 64), bool)
    expected[26:34, 15:25] = True
    np.testing.assert_array_equal(mask, expected)
    assert detections.masks[0].crop.flags.f_contiguous


def test_mask_edge_lies_where_the_interpolated_logit_changes_sign() -> None:
    prototypes = np.full((1, 16, 16), -1, np.float32)
    prototypes[:, :, 8:] = 1  # pixel centres at network x = 34 and 30: the sign changes at 32
    detections, _ = decode(raw([[32, 32, 40, 40, 1, 1, 0, 1]], prototypes), SQUARE, DecodeConfig())
    columns = np.flatnonzero(full_mask(detections.masks[0], (64, 64)).any(axis=0))
    assert (columns[0], columns[-1]) == (32, 51)


def test_box_between_pixels_gives_an_empty_mask() -> None:
    detections, _ = decode(raw([[20.5, 20.5, 0.2, 0.2, 1, 1, 0, 1]]), SQUARE, DecodeConfig())
    assert len(detections) == 1
    assert detections.masks[0].area == 0


@settings(max_examples=50)
@given(st.integers(0, 40), st.integers(0, 2**31))
def test_kept_boxes_never_overlap_more_than_allowed(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [rng.uniform(0, 64, (count, 2)), rng.uniform(1, 40, (count, 2)), rng.random((count, 4))], 1
    )
    config = DecodeConfig(score_threshold=0.1)
    boxes, scores, class_ids, _ = select_candidates(raw(rows.tolist()), config)
    kept, suppressed_by = suppress(boxes, scores, class_ids, config)
    assert (np.diff(scores) <= 0).all()
    for class_id in (0, 1):
        same = boxes[kept[class_ids[kept] == class_id]]
        overlap = box_iou(same, same)
        assert (overlap[~np.eye(len(same), dtype=bool)] <= config.iou_threshold + 1e-4).all()
    np.testing.assert_array_equal(suppressed_by[kept], np.arange(len(kept)))
    # Every row above the threshold was kept or was suppressed by somebody.
    assert (suppressed_by[scores > config.score_threshold] >= 0).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("score_threshold", 1.5),
        ("score_threshold", float("nan")),
        ("iou_threshold", -0.1),
        ("max_detections", 0),
        ("class_ids", (-1,)),
    ],
)
def test_settings_out_of_range_are_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        DecodeConfig(**{key: value})
