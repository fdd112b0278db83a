# SPDX-License-Identifier: Apache-2.0
"""Pictures on disk as a source, and how a source is recognised."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import totes

from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.data.folder import FolderSource
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 5, 3), value, np.uint8))
    return path


def test_folders_are_searched_and_sorted(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.JPG", "a/c.bmp", "d.tiff"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(tmp_path)
    assert source.kind == "images"
    assert not source.has_truth
    assert [item.sample_id for item in source] == ["a/c.bmp", "a/z.JPG", "b.png", "d.tiff"]
    assert [item.image_id for item in source] == [1, 2, 3, 4]
    assert [item.frame().hw for item in source] == [(4, 5)] * 4
    assert all(item.truth() is None for item in source)


def test_equal_names_of_two_folders_stay_apart(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a/1.png", 10), picture(tmp_path / "b/1.png", 20)
    source = FolderSource([first.parent, second.parent])
    assert len({item.sample_id for item in source}) == 2
    assert [int(item.frame().image[0, 0, 0]) for item in source] == [10, 20]


def test_the_same_file_twice_counts_once(tmp_path: Path) -> None:
    path = picture(tmp_path / "1.png")
    assert len(FolderSource([path, path, tmp_path])) == 1


def test_a_name_that_is_no_text_is_made_one(tmp_path: Path) -> None:
    path = picture(tmp_path / "x.png")
    path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    (item,) = FolderSource([tmp_path])
    assert item.sample_id.encode() == "\ufffd\ufffd.png".encode()
    assert item.frame().hw == (4, 5)


def test_names_that_are_no_text_stay_apart(tmp_path: Path) -> None:
    for number, name in enumerate((b"/\xfe.png", b"/\xff.png")):
        path = picture(tmp_path / "x.png", 10 * number)
        path.rename(os.fsdecode(os.fsencode(tmp_path) + name))
    picture(tmp_path / "\ufffd_2.png", 20)
    source = FolderSource([tmp_path])
    assert len({item.sample_id for item in source}) == 3
    assert sorted(int(item.frame().image[0, 0, 0]) for item in source) == [0, 10, 20]


def test_a_coco_split(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path))
    assert (source.kind, source.split, source.has_truth, len(source)) == ("coco", "test", True, 4)
    item = list(source)[2]
    assert (item.sample_id, item.image_id) == ("cell_0/002.jpg", 23)
    assert item.attributes == {"tote_color": "blue"}
    truth = item.truth()
    assert truth is not None
    assert truth.class_ids.tolist() == [1, 0, 0]
    assert item.content() == (tmp_path / "images/cell_0/002.jpg").read_bytes()


def test_a_coco_file_without_annotations_is_unlabelled(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path, labelled=False) / "test.json")
    assert not source.has_truth
    assert all(item.truth() is None for item in source)


def test_a_picture_must_be_as_large_as_its_record(tmp_path: Path) -> None:
    totes.write_coco(tmp_path)
    totes.edit_json(tmp_path / "test.json", lambda d: d["images"][0].update(height=50))
    with pytest.raises(
        DataError, match=r"cell_0/000.jpg is 64 wide and 48 high, but .* says 64 and 50"
    ):
        next(iter(open_source(tmp_path))).frame()


def test_a_missing_picture_is_a_matter_of_that_picture(tmp_path: Path) -> None:
    totes.write_coco(tmp_path)
    (tmp_path / "images/cell_1/001.jpg").unlink()
    items = list(open_source(tmp_path))
    assert items[0].frame().hw == totes.HW
    with pytest.raises(DataError, match=r"001\.jpg cannot be read"):
        items[1].frame()


def test_splits_are_chosen(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, "train", count=2)
    totes.write_coco(tmp_path, "val", count=3)
    assert len(open_source(tmp_path, "val")) == 3
    with pytest.raises(DataError, match=r"name the split \(--split\)"):
        open_source(tmp_path)


def test_a_bag_keeps_to_its_split(tmp_path: Path) -> None:
    totes.write_coco(tmp_path / "coco")
    write_bag_from_coco(tmp_path / "coco", "test", tmp_path / "bag")
    assert open_source(tmp_path / "bag", "test").kind == "bag"
    with pytest.raises(DataError, match="holds the split test, not val"):
        open_source(tmp_path / "bag", "val")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone", "no such bag"),
        ("empty", "no picture"),
        ("notes.txt", "expected a bag, a COCO file or a picture"),
        ("torn", "without metadata.yaml; run 'ros2 bag reindex'"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/torn_0.mcap").touch()
    with pytest.raises(DataError, match=sentence) as raised:
        open_source(tmp_path / name)
    assert name in str(raised.value)


def test_no_picture_given(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path / "gone.jpg", tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=path.name):
            FolderSource([path])
