# SPDX-License-Identifier: Apache-2.0
"""Data sets in ARMBench's layout: valid, reproducible to the byte, safe to interrupt."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from armseg_ros.data.coco import read_coco
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.synthetic import render_tote, write, write_coco
from armseg_ros.synthetic.splits import assign_splits, parse_split

SIZE = (80, 67)
SPLIT = {"train": 4.0, "val": 1.0, "test": 1.0}


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "six"
    assert write_coco(out, 6, 3, SIZE, split=SPLIT) == {"train": 4, "val": 1, "test": 1}
    return out


def test_the_layout(dataset: Path) -> None:
    names = {name for name in files_of(dataset) if not name.startswith("images/")}
    assert names == {"train.json", "val.json", "test.json", "synth.json"}
    assert len(list((dataset / "images").iterdir())) == 6
    listed = [
        image["file_name"]
        for split in ("train", "val", "test")
        for image in json.loads((dataset / f"{split}.json").read_text())["images"]
    ]
    assert sorted(listed) == sorted(path.name for path in (dataset / "images").iterdir())


def test_the_records(dataset: Path) -> None:
    coco = json.loads((dataset / "train.json").read_text())
    assert coco["categories"] == [{"id": 1, "name": "Tote"}, {"id": 2, "name": "Object"}]
    assert coco["info"]["seed"] == 3
    numbers = [annotation["id"] for annotation in coco["annotations"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for image in coco["images"]:
        assert (image["width"], image["height"]) == SIZE
        assert image["tote_color"] in ("blue", "yellow")
        own = [row for row in coco["annotations"] if row["image_id"] == image["id"]]
        assert [row["category_id"] for row in own].count(1) == 1
        assert image["object_count"] == len(own) - 1


def test_masks_are_those_of_the_picture(dataset: Path) -> None:
    coco = json.loads((dataset / "train.json").read_text())
    for image in coco["images"]:
        tote = render_tote(3, image["index"], SIZE)
        own = [row for row in coco["annotations"] if row["image_id"] == image["id"]]
        covered = np.zeros((SIZE[1], SIZE[0]), np.uint8)
        for number, row in enumerate(own, 1):
            mask = coco_mask.decode(row["segmentation"])
            assert np.array_equal(mask > 0, tote.instance_ids == number)
            assert row["area"] == mask.sum()
            assert row["bbox"] == coco_mask.toBbox(row["segmentation"]).tolist()
            covered += mask
            if number > 1:
                assert row["family"] == tote.families[number - 2]
        assert covered.max() == 1
        picture = cv2.imread(str(dataset / "images" / image["file_name"]))
        assert np.abs(picture.astype(int) - tote.image).mean() < 8


def test_the_package_reads_it(dataset: Path) -> None:
    samples = read_coco(dataset, "train").samples
    assert len(samples) == 4
    assert samples[0].attributes["seed"] == 3
    assert len(samples[0].truth.masks) == samples[0].attributes["object_count"] + 1


def test_workers_do_not_change_a_byte(dataset: Path, tmp_path: Path) -> None:
    write_coco(tmp_path / "two", 6, 3, SIZE, split=SPLIT, workers=2)
    assert files_of(tmp_path / "two") == files_of(dataset)


def test_fewer_pictures_are_a_prefix(dataset: Path, tmp_path: Path) -> None:
    write_coco(tmp_path / "few", 2, 3, SIZE, split={"train": 1})
    few = files_of(tmp_path / "few")
    assert "val.json" not in few
    for name in few:
        if name.startswith("images/"):
            assert few[name] == files_of(dataset)[name]


def interrupt_at(index: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def render_until(seed: int, number: int, size: tuple[int, int]) -> object:
        if number == index:
            raise error
        return render_tote(seed, number, size)

    monkeypatch.setattr(write, "render_tote", render_until)


def test_an_interrupted_run_goes_on(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "again"
    with monkeypatch.context() as patch:
        interrupt_at(4, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write_coco(out, 6, 3, SIZE, split=SPLIT)
    assert len(list((out / "images").glob("*.jpg"))) == 4
    assert not list(out.glob("t*.json"))
    with (out / "synth_journal.jsonl").open("a") as journal:
        journal.write('{"image": {"file_n')  # as a killed process leaves it
    with pytest.raises(DataError, match="not empty"):
        write_coco(out, 6, 3, SIZE, split=SPLIT)
    with pytest.raises(ConfigError, match="seed 3, this run asks for 4"):
        write_coco(out, 6, 4, SIZE, split=SPLIT, resume=True)
    interrupt_at(0, monkeypatch, AssertionError("picture 0 was rendered twice"))
    write_coco(out, 6, 3, SIZE, split=SPLIT, resume=True)
    assert files_of(out) == files_of(dataset)
    assert (
        write_coco(out, 6, 3, SIZE, split=SPLIT, resume=True)["train"] == 4
    )  # complete: nothing to do


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(1, monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(DataError, match=r"No space left on device.*--resume"):
        write_coco(tmp_path / "full", 3, 0, SIZE)
    assert not list((tmp_path / "full").glob("t*.json"))


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("x")
    with pytest.raises(DataError, match="is a file"):
        write_coco(occupied, 1, 0, SIZE)
    with pytest.raises(DataError, match="cannot write into"):
        write_coco(occupied / "below", 1, 0, SIZE)
    with pytest.raises(DataError, match="no run in it"):
        write_coco(tmp_path, 1, 0, SIZE, resume=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, "number of pictures"),
        ({"workers": 0}, "number of workers"),
        ({"seed": -2}, "seed"),
        ({"size": (8, 8)}, "8x8"),
        ({"split": {"dev": 1.0}}, "dev"),
        ({"split": {"train": -1.0}}, "-1"),
        ({"split": {"train": 0.0}}, "above 0"),
    ],
)
def test_bad_settings(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    settings: dict[str, object] = {"count": 1, "seed": 0, "size": SIZE, **changes}
    with pytest.raises(ConfigError, match=words):
        write_coco(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_splits_follow_their_shares_from_the_first_picture_on() -> None:
    weights = {"train": 8.0, "val": 1.0, "test": 1.0}
    names = assign_splits(1000, weights)
    assert names[:37] == assign_splits(37, weights)
    for end in (10, 100, 1000):
        assert names[:end].count("train") == end * 8 // 10
        assert names[:end].count("val") == end // 10


def test_parse_split() -> None:
    assert parse_split("train=3, val=1") == {"train": 3.0, "val": 1.0}
    for text in ("train", "train=x", "train=1,train=2", "dev=1", "train=nan", ""):
        with pytest.raises(ConfigError):
            parse_split(text)
