# SPDX-License-Identifier: Apache-2.0
"""Letterbox geometry: exact round trips and the limits of its input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armseg_ros.letterbox import PAD_VALUE, Letterbox, minimum_network_hw

sides = st.integers(1, 4000)
multiples_of_32 = st.integers(1, 30).map(lambda n: 32 * n)


@given(sides, sides, multiples_of_32, multiples_of_32, st.sampled_from(["letterbox", "stretch"]))
def test_boxes_come_back(height: int, width: int, net_h: int, net_w: int, mode: str) -> None:
    letterbox = Letterbox.fit((height, width), (net_h, net_w), mode)
    boxes = np.array([[0, 0, width, height], [0, 0, width / 3, height / 2]], np.float32)
    back = letterbox.boxes_to_source(letterbox.boxes_to_network(boxes))
    np.testing.assert_allclose(back, boxes, atol=1e-3 + max(width, height) * 1e-5)


@given(sides, sides, multiples_of_32, multiples_of_32)
def test_content_is_inside_and_centred(height: int, width: int, net_h: int, net_w: int) -> None:
    left, top, right, bottom = Letterbox.fit((height, width), (net_h, net_w)).content_xyxy
    assert 0 <= left < right <= net_w
    assert 0 <= top < bottom <= net_h
    assert 0 <= (net_w - right) - left <= 1
    assert 0 <= (net_h - bottom) - top <= 1
    assert right - left == net_w or bottom - top == net_h


def test_armbench_frame_in_a_640_square() -> None:
    letterbox = Letterbox.fit((2048, 2448), (640, 640))
    assert letterbox.content_xyxy == (0, 52, 640, 587)
    assert letterbox.gain_xy == (640 / 2448, 535 / 2048)


def test_boxes_are_cut_to_the_picture() -> None:
    letterbox = Letterbox.fit((100, 200), (64, 64))
    boxes = letterbox.boxes_to_source(np.array([[-10, 0, 80, 64]], np.float32))
    np.testing.assert_allclose(boxes, [[0, 0, 200, 100]])


def test_no_boxes_stay_no_boxes() -> None:
    letterbox = Letterbox.fit((100, 200), (64, 64))
    assert letterbox.boxes_to_source(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_tensor_is_rgb_in_unit_range_with_grey_padding() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[..., 0] = 255  # blue
    letterbox = Letterbox.fit((32, 64), (64, 64))
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(image, tensor)
    assert tensor.shape == (1, 3, 64, 64)
    np.testing.assert_array_equal(tensor[0, 2, 16:48], 1)
    np.testing.assert_array_equal(tensor[0, :2, 16:48], 0)
    np.testing.assert_allclose(tensor[0, :, :16], PAD_VALUE / 255)
    np.testing.assert_allclose(tensor[0, :, 48:], PAD_VALUE / 255)


def test_stretch_fills_the_input() -> None:
    assert Letterbox.fit((10, 99), (64, 96), "stretch").content_xyxy == (0, 0, 96, 64)


def test_minimum_input_of_an_armbench_frame() -> None:
    assert minimum_network_hw((2048, 2448), (640, 640)) == (544, 640)


def test_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot fit"):
        Letterbox.fit((0, 5), (64, 64))
