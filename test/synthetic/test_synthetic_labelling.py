# SPDX-License-Identifier: Apache-2.0
"""The annotator's rule on hand-made maps of drawn numbers."""

from __future__ import annotations

import numpy as np

from armseg_ros.synthetic.labelling import label_instances


def tote_with(*squares: tuple[int, int, int, int]) -> np.ndarray:
    """A 200x200 map of tote with squares (number, row, column, side) on it."""
    numbers = np.ones((200, 200), np.uint8)
    for number, row, column, side in squares:
        numbers[row : row + side, column : column + side] = number
    return numbers


def test_plain_objects_keep_their_pixels() -> None:
    numbers = tote_with((2, 10, 10, 30), (3, 100, 100, 40))
    labels, kept = label_instances(numbers, {1: 40000, 2: 900, 3: 1600})
    assert np.array_equal(labels, numbers)
    assert kept == [2, 3]


def test_a_tiny_object_becomes_nothing_and_the_rest_closes_up() -> None:
    numbers = tote_with((2, 10, 10, 4), (3, 100, 100, 40))  # 16 px < 0.05 % of 40000
    labels, kept = label_instances(numbers, {1: 40000, 2: 16, 3: 1600})
    assert kept == [3]
    assert (labels[10:14, 10:14] == 0).all()
    assert (labels[100:140, 100:140] == 2).all()


def test_a_sliver_of_a_hidden_object_becomes_nothing() -> None:
    numbers = tote_with((2, 10, 10, 9))  # 81 px = 0.2 % of the picture, 2.7 % of the silhouette
    labels, kept = label_instances(numbers, {1: 40000, 2: 3000})
    assert kept == []
    assert (labels[10:19, 10:19] == 0).all()


def test_a_large_visible_part_is_labelled_however_much_is_hidden() -> None:
    numbers = tote_with((2, 10, 10, 11))  # 121 px = 0.3 % of the picture, 1.2 % of the silhouette
    labels, kept = label_instances(numbers, {1: 40000, 2: 10000})
    assert kept == [2]
    assert np.array_equal(labels, numbers)


def test_specks_go_to_what_surrounds_them() -> None:
    numbers = tote_with((2, 10, 10, 60), (3, 100, 100, 60))
    numbers[30, 30] = 3  # one pixel of 3 inside 2, and one hole to the tote inside 3
    numbers[120, 120] = 1
    labels, kept = label_instances(numbers, {1: 40000, 2: 3600, 3: 3600})
    assert kept == [2, 3]
    assert labels[30, 30] == 2
    assert labels[120, 120] == 3


def test_a_part_beyond_an_occluder_stays_with_its_object() -> None:
    numbers = tote_with((2, 50, 20, 100))
    numbers[:, 60:80] = 3  # a bar across splits 2 in two
    labels, kept = label_instances(numbers, {1: 40000, 2: 10000, 3: 4000})
    assert kept == [2, 3]
    assert (labels[60:140, 30:50] == 2).all()
    assert (labels[60:140, 90:110] == 2).all()


def test_nothing_but_floor() -> None:
    labels, kept = label_instances(np.zeros((50, 60), np.uint8), {})
    assert kept == []
    assert not labels.any()
