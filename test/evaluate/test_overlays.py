# SPDX-License-Identifier: Apache-2.0
"""Names and number of overlay pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import totes

from armseg_ros.errors import DataError
from armseg_ros.evaluate.overlays import OverlayFolder, above
from armseg_ros.types import Frame

NOTHING = totes.detections([], [], [])


@pytest.mark.parametrize(
    ("count", "wanted", "drawn"),
    [(10, 10, 10), (10, 99, 10), (10, 3, 3), (7, 5, 5), (1, 1, 1), (10, 0, 0)],
)
def test_as_many_as_wanted(tmp_path: Path, count: int, wanted: int, drawn: int) -> None:
    overlays = OverlayFolder(tmp_path, count, wanted, 0.25)
    for index in range(count):
        overlays.add(index, Frame(np.zeros((4, 6, 3), np.uint8), sample_id=f"{index}.png"), NOTHING)
    assert len(list(tmp_path.iterdir())) == drawn


@pytest.mark.parametrize("name", ["/", "..", ".", "a" * 4000, "a/../b.x", "täst.png", "x y", "?"])
def test_any_name_is_a_file_in_the_folder(tmp_path: Path, name: str) -> None:
    overlays = OverlayFolder(tmp_path / "out", 1, 1, 0.25)
    overlays.add(0, Frame(np.zeros((4, 6, 3), np.uint8), sample_id=name), NOTHING)
    (path,) = (tmp_path / "out").iterdir()
    assert path.name.startswith("00001_")


def test_large_pictures_are_drawn_smaller(tmp_path: Path) -> None:
    overlays = OverlayFolder(tmp_path, 1, 1, 0.25)
    overlays.add(0, Frame(np.zeros((1000, 2560, 3), np.uint8), sample_id="x"), NOTHING)
    assert cv2.imread(str(tmp_path / "00001_x.jpg")).shape == (500, 1280, 3)


def test_only_what_is_above_the_threshold() -> None:
    found = totes.detections([totes.box_mask(0, 0, 2, 2)] * 3, [0] * 3, [0.9, 0.5, 0.1])
    assert above(found, 0.25).scores.tolist() == [np.float32(0.9), 0.5]
    assert len(above(found, 0.95)) == 0


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    overlays = OverlayFolder(tmp_path / "out", 1, 1, 0.25)
    (tmp_path / "out").rmdir()
    with pytest.raises(DataError, match=r"00001_x\.jpg cannot be written"):
        overlays.add(0, Frame(np.zeros((4, 6, 3), np.uint8), sample_id="x"), NOTHING)
