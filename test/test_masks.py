# SPDX-License-Identifier: Apache-2.0
"""Mask arithmetic against painted masks and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from armseg_ros.errors import DataError
from armseg_ros.masks import (
    box_iou,
    decode_crop,
    decode_full,
    encode_crop,
    encode_full,
    full_mask,
    intersection_areas,
    mask_box,
    paint_labels,
    shrink,
    tight_mask,
)
from armseg_ros.types import Mask

bool_pictures = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(bool_pictures)
def test_full_run_lengths_equal_pycocotools(picture: np.ndarray) -> None:
    expected = coco_mask.encode(np.asfortranarray(picture.view(np.uint8)))["counts"].decode()
    for mask in (tight_mask(picture), Mask(picture.copy(), 0, 0)):
        assert encode_full(mask, picture.shape) == {
            "size": list(picture.shape),
            "counts": expected,
        }


@given(bool_pictures, st.integers(0, 5), st.integers(0, 5))
def test_crop_run_lengths_come_back(picture: np.ndarray, x: int, y: int) -> None:
    mask = tight_mask(picture, x, y)
    back = decode_crop(encode_crop(mask), mask.crop.shape, (mask.x, mask.y))
    np.testing.assert_array_equal(back.crop, mask.crop)
    assert (back.x, back.y) == (mask.x, mask.y)


@given(bool_pictures)
def test_full_run_lengths_come_back(picture: np.ndarray) -> None:
    hw = picture.shape
    compressed = encode_full(tight_mask(picture), hw)
    column_major = picture.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(column_major, prepend=0)).tolist()
    plain = {"size": list(hw), "counts": np.diff([0, *edges, picture.size]).tolist()}
    for segmentation in (compressed, plain):
        np.testing.assert_array_equal(full_mask(decode_full(segmentation, hw), hw), picture)


@given(st.binary(max_size=30))
def test_damaged_run_lengths_never_reach_the_c_code(counts: bytes) -> None:
    try:
        mask = decode_full({"size": [5, 6], "counts": counts}, (5, 6))
    except DataError:
        return
    assert encode_full(mask, (5, 6))["size"] == [5, 6]


def test_two_part_polygon_is_one_mask() -> None:
    parts = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 4, 6, 4, 6, 6, 4, 6]]
    mask = decode_full(parts, (8, 8))
    assert mask.area == 8
    assert mask_box(mask) == (0, 0, 6, 6)
    assert mask.crop[0, 0]
    assert not mask.crop[0, 5]


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        ({"size": [4, 4], "counts": [3, 2]}, "add up to 5"),
        ({"size": [4, 5], "counts": [16]}, "4x4"),
        ({"size": [4, 4], "counts": b"0"}, "add up"),
        ([[0, 0, float("nan"), 0, 1, 1]], "coordinate nan"),
        ([1, 1, 5, 1, 5, 5], "list of x, y"),
        ([[1, 1, 3, 1, 3, 3], "x"], "list of x, y"),
        ([[1, 1, 3, 1, 3, 3, 2]], "even length"),
        ("nonsense", "polygons or run-lengths"),
        ({"size": [4, 4], "counts": [20, -4]}, "run-lengths"),
    ],
)
def test_bad_segmentations_are_refused(segmentation: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        decode_full(segmentation, (4, 4))


def test_degenerate_polygons_are_empty() -> None:
    assert decode_full([[1, 1, 2, 2]], (4, 4)).area == 0


def test_intersections_of_four_by_four_masks() -> None:
    left = Mask(np.ones((4, 2), bool), 0, 0)
    middle = Mask(np.ones((4, 2), bool), 1, 0)
    far = Mask(np.ones((1, 1), bool), 3, 3)
    np.testing.assert_array_equal(
        intersection_areas([left, middle], [left, middle, far]), [[8, 4, 0], [4, 8, 0]]
    )
    assert intersection_areas([], [left]).shape == (0, 1)


def test_box_iou_fractions() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 5]], np.float32)
    np.testing.assert_allclose(
        box_iou(boxes, boxes), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]], rtol=1e-6
    )


def test_first_mask_owns_the_shared_pixel() -> None:
    masks = [Mask(np.ones((1, 2), bool), 0, 0), Mask(np.ones((1, 2), bool), 1, 0)]
    np.testing.assert_array_equal(paint_labels(masks, (1, 4)), [[1, 1, 2, 0]])
    assert not paint_labels([], (2, 2)).any()


def test_empty_mask() -> None:
    empty = tight_mask(np.zeros((3, 3), bool))
    assert encode_crop(empty) == b""
    assert mask_box(empty) == (0, 0, 0, 0)
    assert decode_crop(b"", (0, 0), (1, 2)).area == 0
    assert encode_full(empty, (3, 3)) == {"size": [3, 3], "counts": "9"}
    assert shrink(empty, 0.5).area == 0


def test_crop_outside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves"):
        encode_full(Mask(np.ones((2, 2), bool), 3, 0), (4, 4))
