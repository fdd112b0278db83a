# SPDX-License-Identifier: Apache-2.0
"""Shares, unions and bits on hand-made masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from armseg_ros.evaluate.overlap import Overlap, covered_share, variation_of_information
from armseg_ros.masks import tight_mask
from armseg_ros.types import Mask

LEFT = tight_mask(np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool))
MIDDLE = tight_mask(np.array([[0, 1, 1, 0], [0, 1, 1, 0]], bool))
BOTTOM = tight_mask(np.array([[0, 0, 0, 0], [1, 1, 1, 1]], bool))
EMPTY = Mask(np.zeros((0, 0), bool), 1, 1)

pictures = st.lists(hnp.arrays(bool, (5, 6)), max_size=4).map(
    lambda arrays: [tight_mask(array) for array in arrays]
)


def test_shares() -> None:
    overlap = Overlap.of([LEFT, MIDDLE], [LEFT, BOTTOM, EMPTY])
    np.testing.assert_allclose(overlap.iou, [[1, 2 / 6, 0], [1 / 3, 2 / 6, 0]], rtol=1e-6)
    np.testing.assert_allclose(overlap.gt_inside_pred, [[1, 0.5, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(overlap.pred_inside_gt, [[1, 0.5, 0], [0.5, 0.5, 0]])
    assert not overlap.iou.flags.writeable


def test_nothing_to_compare() -> None:
    assert Overlap.of([], [LEFT]).iou.shape == (0, 1)
    assert Overlap.of([LEFT], []).iou.shape == (1, 0)


def test_shape_and_type_are_checked() -> None:
    right, wrong = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"gt_inside_pred must be float32 of shape \(2, 3\)"):
        Overlap(right, wrong, right)
    with pytest.raises(ValueError, match="iou must be float32"):
        Overlap(right.astype(float), right, right)


def test_covered_share_is_that_of_the_union() -> None:
    assert covered_share(LEFT, [MIDDLE, MIDDLE]) == 0.5
    assert covered_share(LEFT, [MIDDLE, BOTTOM]) == 0.75
    assert covered_share(LEFT, []) == covered_share(EMPTY, [LEFT]) == 0


def test_variation_of_information_of_nothing() -> None:
    assert variation_of_information([LEFT], []) is None
    assert variation_of_information([LEFT], [EMPTY]) is None
    assert variation_of_information([], [LEFT]) == (0.0, 0.0)  # one segment: all missed


def test_what_no_prediction_covers_merges_what_was_missed() -> None:
    right = Mask(np.ones((2, 2), bool), 2, 0)
    assert variation_of_information([], [LEFT, right]) == pytest.approx((0, 1))


@settings(max_examples=50, deadline=None)
@given(pictures, pictures)
def test_properties(p: list[Mask], g: list[Mask]) -> None:
    there, back = Overlap.of(p, g), Overlap.of(g, p)
    np.testing.assert_array_equal(there.iou, back.iou.T)
    np.testing.assert_array_equal(there.gt_inside_pred, back.pred_inside_gt.T)
    for array in (there.iou, there.gt_inside_pred, there.pred_inside_gt):
        assert ((array >= 0) & (array <= 1)).all()
    assert (there.iou <= np.minimum(there.gt_inside_pred, there.pred_inside_gt) + 1e-6).all()
    for index, mask in enumerate(g):
        shares = [covered_share(mask, [q]) for q in p]
        np.testing.assert_allclose(shares, there.gt_inside_pred[:, index], rtol=1e-6)
        assert max(shares, default=0) <= covered_share(mask, p) <= min(1, sum(shares)) + 1e-9
    bits = variation_of_information(p, g)
    assert bits is None or min(bits) >= 0
