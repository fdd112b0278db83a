# SPDX-License-Identifier: Apache-2.0
"""Crops and outlines."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import totes

from armseg_ros.errors import DataError
from armseg_ros.report.crops import LONGEST_SIDE_PX, Window, outline, window_around, write_crop
from armseg_ros.types import Mask


def test_a_window_shows_all_masks_inside_the_picture() -> None:
    masks = [totes.box_mask(300, 100, 40, 20), totes.box_mask(330, 130, 30, 30)]
    window = window_around(masks, (600, 800))
    assert window.x < 300
    assert window.x + window.width > 360
    assert window.y < 100
    assert window.y + window.height > 160
    assert max(window.size) == LONGEST_SIDE_PX
    corner = window_around([totes.box_mask(0, 590, 5, 10)], (600, 800))
    assert (corner.x, corner.y + corner.height) == (0, 600)
    assert 0.85 < corner.width / corner.height < 1.2


@pytest.mark.parametrize("masks", [[], [Mask(np.zeros((0, 0), bool), 7, 7)]])
def test_without_a_pixel_the_whole_picture_is_shown(masks: list[Mask]) -> None:
    window = window_around(masks, (2048, 2448))
    assert (window.x, window.y, window.width, window.height) == (0, 0, 2448, 2048)
    assert window.size == (480, 402)


def test_a_mask_larger_than_the_picture_allows_is_cut() -> None:
    window = window_around([totes.box_mask(0, 0, 64, 48)], (48, 64))
    assert (window.x, window.y, window.width, window.height) == (0, 0, 64, 48)


def test_the_crop_holds_the_pixels_of_the_window(tmp_path: Path) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:30, 30:45] = 255
    write_crop(image, Window(30, 20, 15, 10, 4.0), tmp_path / "crop.jpg")
    crop = cv2.imread(str(tmp_path / "crop.jpg"))
    assert crop.shape == (40, 60, 3)
    assert crop.mean() > 250
    with pytest.raises(DataError, match="cannot be written"):
        write_crop(image, Window(30, 20, 15, 10, 4.0), tmp_path / "absent/crop.jpg")


def test_an_outline_runs_around_mask_and_hole() -> None:
    crop = np.ones((40, 40), bool)
    crop[15:25, 15:25] = False
    path = outline(Mask(crop, 110, 210), Window(100, 200, 60, 60, 2.0))
    assert path.count("M") == path.count("Z") == 2
    outer = np.array(re.findall(r"(\d+) (\d+)", path.split("Z")[0]), int)
    assert outer.min(axis=0).tolist() == [21, 21]  # 10.5 px from the edge, twice as large
    assert outer.max(axis=0).tolist() == [99, 99]


def test_what_lies_outside_has_no_outline() -> None:
    window = Window(100, 200, 60, 60, 2.0)
    assert outline(totes.box_mask(10, 10, 20, 20), window) == ""
    assert outline(Mask(np.zeros((5, 5), bool), 110, 210), window) == ""
