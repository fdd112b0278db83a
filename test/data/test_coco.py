# SPDX-License-Identifier: Apache-2.0
"""Reading of ARMBench's layout, and every way in which its files are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import totes
from pycocotools import mask as coco_mask

from armseg_ros.data.coco import read_coco, resolve_inside, safe_name, splits_in
from armseg_ros.errors import DataError
from armseg_ros.masks import full_mask

Change = Callable[[dict[str, Any]], object]


def test_samples_in_the_order_of_the_file(tmp_path: Path) -> None:
    dataset = read_coco(totes.write_coco(tmp_path), "test")
    assert [sample.image_id for sample in dataset.samples] == [3, 13, 23, 33]
    assert dataset.samples[3].sample_id == "cell_1/003.jpg"
    assert dataset.samples[3].attributes == {"tote_color": "yellow"}
    assert dataset.samples[3].truth.class_ids.tolist() == [1, 0, 0, 0]
    assert splits_in(tmp_path) == ("test",)


def test_polygons_and_run_lengths_are_the_same_pixels(tmp_path: Path) -> None:
    """pycocotools paints the expected pixels; a bare box covers its whole pixels."""
    totes.write_coco(tmp_path, count=2)
    polygon = [5.5, 6.2, 17.9, 7.0, 14.1, 15.8]
    (compressed,) = coco_mask.frPyObjects([polygon], *totes.HW)
    painted = coco_mask.decode(compressed).astype(bool)
    flat = np.concatenate([[0], painted.ravel(order="F").astype(int), [0]])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], edges, [painted.size]])).tolist()
    forms: list[Any] = [
        [polygon],
        {"size": list(totes.HW), "counts": compressed["counts"].decode()},
        {"size": list(totes.HW), "counts": runs},
    ]
    for form in forms:

        def change(document: dict[str, Any], form: Any = form) -> None:
            document["annotations"][1]["segmentation"] = form

        totes.edit_json(tmp_path / "test.json", change)
        truth = read_coco(tmp_path).samples[0].truth
        np.testing.assert_array_equal(
            full_mask(read_coco(tmp_path).samples[1].truth.masks[0], totes.HW), painted
        )
        assert len(truth) == 1


def test_a_box_alone_is_its_mask(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=1)
    totes.edit_json(tmp_path / "test.json", lambda d: d["annotations"][0].pop("segmentation"))
    truth = read_coco(tmp_path).samples[0].truth
    assert truth.boxes.tolist() == [[2, 2, 62, 46]]
    assert truth.masks[0].area == 60 * 44


@pytest.mark.parametrize("box", [[1000, 1000, 5, 5], [-50, -50, 5, 5], [63.9, 10, 0, 0]])
def test_a_box_outside_the_picture_is_empty(tmp_path: Path, box: list[float]) -> None:
    totes.write_coco(tmp_path, count=1)

    def change(document: dict[str, Any]) -> None:
        document["annotations"][0].update(bbox=box, segmentation=[])

    totes.edit_json(tmp_path / "test.json", change)
    (sample,) = read_coco(tmp_path).samples
    (mask,) = sample.truth.masks
    assert mask.area == 0
    assert not full_mask(mask, totes.HW).any()


def test_crowds_are_known(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=2)
    totes.edit_json(tmp_path / "test.json", lambda d: d["annotations"][2].update(iscrowd=1))
    assert read_coco(tmp_path).samples[1].truth.crowd.tolist() == [False, True]


@pytest.mark.parametrize("change", [lambda a: a.pop("id"), lambda a: a.update(id=1)])
def test_annotation_ids_are_not_used(tmp_path: Path, change: Change) -> None:
    totes.write_coco(tmp_path)
    totes.edit_json(tmp_path / "test.json", lambda d: [change(a) for a in d["annotations"]])
    assert [len(sample.truth) for sample in read_coco(tmp_path).samples] == [1, 2, 3, 4]


def test_labelled_as_empty_is_not_unlabelled(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=1)
    totes.edit_json(tmp_path / "test.json", lambda d: d["annotations"].clear())
    dataset = read_coco(tmp_path)
    assert dataset.has_truth
    assert len(dataset.samples[0].truth) == 0
    totes.write_coco(tmp_path, count=1, labelled=False)
    assert not read_coco(tmp_path).has_truth


BAD: list[tuple[Change, str]] = [
    (lambda d: d["annotations"][1].update(image_id=999), "annotation 2 names image 999"),
    (
        lambda d: d["annotations"][1].update(category_id=7),
        r"annotation 2 names category 7.*\[1, 2\]",
    ),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, float("nan"), 4]), "annotation 2 has bbox"),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, float("inf"), 4]), "annotation 2 has bbox"),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, -3, 4]), "annotation 2 has bbox"),
    (lambda d: d["annotations"][1].update(bbox=None, segmentation=None), "neither bbox nor segm"),
    (lambda d: d["annotations"][1].update(bbox=[1, 2, 10**400, 4]), "annotation 2 has bbox"),
    (lambda d: d["annotations"][1].update(image_id=[3]), r"image_id \[3\], expected a whole"),
    (lambda d: d["annotations"][1].update(category_id={}), "category_id {}, expected a whole"),
    (lambda d: d["categories"][0].update(id=[1]), "needs a whole number as id"),
    (lambda d: d["annotations"].append(5), "an entry of 'annotations' is 5"),
    (lambda d: d["images"].append(dict(d["images"][0])), "image 3 .* appears twice"),
    (lambda d: d["images"][1].update(file_name=d["images"][0]["file_name"]), "appears twice"),
    (lambda d: d["images"][1].update(width=0), "image 13 has width 0"),
    (lambda d: d["images"][1].update(height="48"), "image 13 has height '48'"),
    (lambda d: d["images"][1].pop("file_name"), "needs a file_name and an integer id"),
    (lambda d: d["images"][1].update(file_name="../../etc/passwd"), "leaves the folder"),
    (lambda d: d["images"][1].update(file_name="a\nb.jpg"), r"image 13 has the file_name 'a\\nb"),
    (lambda d: d["images"][1].update(file_name="a\ud800.jpg"), "image 13 has the file_name"),
    (lambda d: d["images"][1].update(file_name="/etc/passwd"), "leaves the folder"),
    (lambda d: d["images"][0].update(id=2**63), "needs a file_name and an integer id of 64 bits"),
    (lambda d: d["images"][0].update(id=True), "needs a file_name and an integer id of 64 bits"),
    (lambda d: d["annotations"][1].update(image_id=10**30), "image_id 10+, expected a whole"),
    (lambda d: d.pop("images"), "needs 'images'"),
    (lambda d: d.update(annotations={}), "'annotations' must be a list"),
    (
        lambda d: d["categories"].append({"id": 3, "name": "Robot"}),
        "Robot.* one of Object, Tote",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BAD)
def test_a_wrong_file_is_refused_in_one_sentence(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    totes.write_coco(tmp_path)
    totes.edit_json(tmp_path / "test.json", change)
    with pytest.raises(DataError, match=sentence) as raised:
        read_coco(tmp_path)
    assert "test.json" in str(raised.value)


BAD_MASKS: list[tuple[Any, str]] = [
    ({"size": [10, 10], "counts": [100]}, "size .10, 10., but the picture is 48x64"),
    ({"size": list(totes.HW), "counts": [5, 6]}, "run-lengths add up to 11"),
    ({"size": list(totes.HW), "counts": [-5, 48 * 64 + 5]}, "run-lengths"),
    ({"size": list(totes.HW), "counts": "1"}, "add up to 1"),
    ({"size": list(totes.HW), "counts": "\x7f"}, "hold the byte"),
    ([[1, 2, 3, float("nan"), 5, 6]], "coordinate nan"),
    ([[0, 0, 1e9, 0, 1e9, 1e9]], "coordinate 1000000000.0"),
    ([[0, 0, 10**400, 0, 1, 1]], "coordinate 1000"),
    ([[0, 0, "5", 0, 1, 1]], "coordinate '5'"),
    ({"size": list(totes.HW), "counts": 10**12}, "must be text or a list"),
    ("text", "must be polygons or run-lengths"),
]


@pytest.mark.parametrize(("segmentation", "sentence"), BAD_MASKS)
def test_a_wrong_mask_names_picture_and_annotation(
    tmp_path: Path, segmentation: Any, sentence: str
) -> None:
    totes.write_coco(tmp_path, count=2)

    def change(document: dict[str, Any]) -> None:
        document["annotations"][1]["segmentation"] = segmentation

    totes.edit_json(tmp_path / "test.json", change)
    with pytest.raises(DataError, match=rf"annotation 2 of cell_1/001.jpg: .*{sentence}"):
        _ = read_coco(tmp_path).samples[1].truth


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '{"images": ' + "[" * 100000, "\xff",
                                  '{"images": [{"id": 1' + "0" * 5000 + "}]}"])  # fmt: skip
def test_a_file_that_is_not_coco(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"test.json: "):
        read_coco(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match="leaves the folder"):
        resolve_inside(folder, "link.jpg", tmp_path / "test.json")
    (folder / "real.jpg").write_bytes(b"")
    (folder / "inner.jpg").symlink_to(folder / "real.jpg")
    assert resolve_inside(folder, "inner.jpg", tmp_path) == folder / "inner.jpg"


@pytest.mark.parametrize("name", ["", "a/../../b.jpg", "a\0b.jpg", "/a.jpg"])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="leaves the folder"):
        resolve_inside(tmp_path, name, tmp_path)


def test_safe_names() -> None:
    assert safe_name("cell 1/../x.jpg") == "cell_1_.._x.jpg"
    assert safe_name("...") == "_"


def test_the_split_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps({"images": []}))
    with pytest.raises(DataError, match=r"expected val\.json, found train"):
        read_coco(tmp_path, "val")
    with pytest.raises(DataError, match="no such COCO folder"):
        read_coco(tmp_path / "gone")
