# SPDX-License-Identifier: Apache-2.0
"""Faults that are planted are found one for one, and nothing else."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import runs
import totes

from armseg_ros.cli.main import main
from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.data.check.check import check
from armseg_ros.data.check.finding import RULES
from armseg_ros.data.check.fingerprint import difference_hash
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.evaluate.read_run import read_run
from armseg_ros.evaluate.tables import INSTANCES


def two_splits(folder: Path) -> Path:
    """Four pictures for training and four others to test; nothing is wrong with them."""
    totes.write_coco(folder, "train", count=4)
    totes.write_coco(folder / "other", "test", count=4)
    random = np.random.default_rng(3)
    for path in sorted((folder / "other" / "images").rglob("*.jpg")):
        target = folder / "images" / "test" / path.name
        target.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(target), random.integers(0, 255, (*totes.HW, 3), np.uint8))
    (folder / "other" / "test.json").rename(folder / "test.json")
    shutil.rmtree(folder / "other")

    def rename(document: dict[str, Any]) -> None:
        for record in document["images"]:
            record["file_name"] = "test/" + Path(record["file_name"]).name

    totes.edit_json(folder / "test.json", rename)
    return folder


def found(folder: Path) -> Counter[tuple[str, str]]:
    return Counter((f.rule, f.sample_id) for f in check([folder]).findings)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path, capsys: Any) -> None:
    folder = two_splits(tmp_path / "data")
    report = check([folder])
    assert report.findings == ()
    assert report.pictures == {"train": 4, "test": 4}
    assert main(["check", str(folder)]) == 0
    assert "no findings in 4 of train, 4 of test" in capsys.readouterr().out


def test_copies_are_leaks_between_splits_and_duplicates_within_one(tmp_path: Path) -> None:
    folder = two_splits(tmp_path / "data")
    train, test = folder / "images" / "cell_0", folder / "images" / "test"
    shutil.copy(train / "000.jpg", test / "001.jpg")
    picture = cv2.imread(str(train / "002.jpg"))
    brighter = np.clip(picture * 1.2 + 5, 0, 255).astype(np.uint8)
    cv2.imwrite(str(test / "002.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 60])
    shutil.copy(test / "000.jpg", test / "003.jpg")
    findings = {(f.rule, f.sample_id): f for f in check([folder]).findings}
    assert set(findings) == {
        ("leak", "test/001.jpg"),
        ("leak", "test/002.jpg"),
        ("duplicate", "test/003.jpg"),
    }
    exact, near = findings["leak", "test/001.jpg"], findings["leak", "test/002.jpg"]
    assert (exact.other, exact.detail) == ("train: cell_0/000.jpg", "the same bytes")
    assert near.other == "train: cell_0/002.jpg"
    assert "of 256 bits differ" in near.detail
    assert near.score < exact.score == 1


def test_a_copy_within_a_split_does_not_hide_a_leak(tmp_path: Path) -> None:
    folder = two_splits(tmp_path / "data")
    train, test = folder / "images" / "cell_0", folder / "images" / "test"
    picture = cv2.imread(str(train / "002.jpg"))
    cv2.imwrite(str(test / "000.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
    shutil.copy(test / "000.jpg", test / "001.jpg")
    findings = [(f.rule, f.sample_id, f.other) for f in check([folder]).findings]
    assert sorted(findings) == [
        ("duplicate", "test/001.jpg", "test: test/000.jpg"),
        ("leak", "test/000.jpg", "train: cell_0/002.jpg"),
        ("leak", "test/001.jpg", "train: cell_0/002.jpg"),
    ]


def test_a_bad_picture_of_a_recording_is_no_bad_label(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=2)
    path = folder / "images" / "cell_1" / "001.jpg"
    png = cv2.imencode(".png", np.zeros((*totes.HW, 3), np.uint8))[1].tobytes()
    path.write_bytes(png[:33] + png[-12:])  # header and end, and no pixel between
    write_bag_from_coco(folder, "train", tmp_path / "bag")
    findings = check([tmp_path / "bag"], ignore=["missing-tote"]).findings
    assert [(f.rule, f.sample_id) for f in findings] == [("unreadable", "cell_1/001.jpg")]


def test_a_suspect_is_of_the_source_that_the_run_is_of(tmp_path: Path) -> None:
    first = totes.write_coco(tmp_path / "first", "train", count=2)
    second = totes.write_coco(tmp_path / "second", "val", count=2)  # pictures of the same names
    run = runs.write_run(tmp_path / "run", 2, source=first, split="train")
    box = dict(zip(("x_min", "y_min", "x_max", "y_max"), (10.0, 10.0, 30.0, 30.0), strict=True))
    row = {"index": 0, "class_id": 0, "class_name": "Object", "sample_id": "cell_0/000.jpg", **box}
    rows = [{**row, "kind": "truth", "crowd": False}, {**row, "kind": "prediction", "score": 0.9}]
    pq.write_table(pa.Table.from_pylist(rows, INSTANCES), run / "instances.parquet")
    findings = check([first, second], [read_run(run)], ignore=["leak", "missing-tote"]).findings
    assert {(f.rule, f.source) for f in findings if f.rule == "bad-outline"} == {
        ("bad-outline", "train")
    }


def test_each_kind_of_fault_in_labels_is_found(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=4)

    def spoil(document: dict[str, Any]) -> None:
        by_picture: dict[int, list[dict[str, Any]]] = {}
        for record in document["annotations"]:
            by_picture.setdefault(record["image_id"], []).append(record)
        zero, one, two, three = (by_picture[10 * n + 3] for n in range(4))
        document["annotations"].remove(zero[0])  # no Tote
        one[0]["segmentation"] = [[2, 2, 12, 2, 12, 12, 2, 12]]  # a tiny Tote
        two[1]["segmentation"] = [[5, 5, 6, 5]]  # without a pixel
        document["annotations"].append({**two[2], "id": 90})  # twice
        three[1]["segmentation"] = {"size": [48, 64], "counts": [1, 2, 3]}  # damaged

    totes.edit_json(folder / "train.json", spoil)
    assert found(folder) == {
        ("missing-tote", "cell_0/000.jpg"): 1,
        ("tiny-tote", "cell_1/001.jpg"): 1,
        ("empty-mask", "cell_0/002.jpg"): 1,
        ("repeated-label", "cell_0/002.jpg"): 1,
        ("damaged-label", "cell_1/003.jpg"): 1,
    }


def test_a_tiny_object_is_told_by_its_share_of_the_picture(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=2)
    path = folder / "images" / "cell_1" / "001.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8))

    def enlarge(document: dict[str, Any]) -> None:
        document["images"][1] |= {"height": 480, "width": 640}
        tote, thing = document["annotations"][1:]
        tote["segmentation"] = [[0, 0, 600, 0, 600, 400, 0, 400]]
        thing["segmentation"] = [[9, 9, 18, 9, 18, 18, 9, 18]]  # 81 px; 0.0003 are 92

    totes.edit_json(folder / "train.json", enlarge)
    assert found(folder) == {("tiny-object", "cell_1/001.jpg"): 1}


def test_pictures_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=3)
    (folder / "images" / "cell_0" / "000.jpg").unlink()
    path = folder / "images" / "cell_0" / "002.jpg"
    path.write_bytes(path.read_bytes()[:200])
    totes.edit_json(folder / "train.json", lambda d: d["images"][1].update(height=47))
    findings = check([folder], ignore=["missing-tote"]).findings
    assert [f.rule for f in findings] == ["unreadable"] * 3
    assert "48x64 pixels, its record says 47x64" in findings[2].detail


def test_labels_that_a_confident_model_disagrees_with_are_suspects(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=4)
    run = runs.write_run(tmp_path / "run", 4)
    box = dict(zip(("x_min", "y_min", "x_max", "y_max"), (10.0, 10.0, 30.0, 30.0), strict=True))
    there = {"x_min": 40.0, "y_min": 20.0, "x_max": 60.0, "y_max": 40.0}
    label = {"kind": "truth", "class_id": 0, "class_name": "Object", "crowd": False, **box}
    sure = {"kind": "prediction", "score": 0.9, "class_id": 0, "class_name": "Object", **box}
    tote = {"class_id": 1, "class_name": "Tote"}
    rows = [
        {**label, "sample_id": "cell_0/000.jpg", "best_iou": 0.3},  # of another shape
        {**sure, "sample_id": "cell_0/000.jpg", "best_iou": 0.3},
        {**label, "sample_id": "cell_1/001.jpg", "best_iou": 0.0},  # a tote, says the model
        {**sure, **tote, "sample_id": "cell_1/001.jpg", "best_iou": 0.0},
        {**label, "sample_id": "cell_0/002.jpg", "matched_index": 0, "best_iou": 0.9},
        {**sure, "sample_id": "cell_0/002.jpg", "matched_index": 0, "best_iou": 0.9},
        {**sure, **there, "sample_id": "cell_0/002.jpg", "index": 1, "best_iou": 0.0},  # no label
        {**sure, **there, "sample_id": "cell_0/002.jpg", "score": 0.6, "best_iou": 0.0},  # unsure
        {**label, "sample_id": "elsewhere.jpg", "best_iou": 0.0},
        {**sure, **tote, "sample_id": "elsewhere.jpg", "best_iou": 0.0},
    ]
    table = pa.Table.from_pylist([{"index": 0, **row} for row in rows], INSTANCES)
    pq.write_table(table, run / "instances.parquet")
    report = check([folder], [read_run(run)], ignore=["missing-tote"])
    with pytest.raises(DataError, match="has no ground truth of any of the 4 pictures"):
        check([folder], [read_run(runs.write_run(tmp_path / "other", 4))])
    assert [(f.rule, f.sample_id, f.annotation) for f in report.findings] == [
        ("overlooked-object", "cell_0/002.jpg", None),
        ("wrong-class", "cell_1/001.jpg", 0),
        ("bad-outline", "cell_0/000.jpg", 0),
    ]


def test_the_exit_code_says_whether_something_was_found(tmp_path: Path, capsys: Any) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=2)
    totes.edit_json(folder / "train.json", lambda d: d["annotations"].pop(0))
    out = tmp_path / "findings.json"
    assert main(["check", str(folder), "-o", str(out)]) == 1
    assert "missing-tote: 1" in capsys.readouterr().out
    assert '"missing-tote"' in out.read_text()
    assert main(["check", str(folder), "--ignore", "missing-tote"]) == 0
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert main(["check", str(folder), "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_bad_arguments_get_a_sentence(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "data", "train", count=1)
    with pytest.raises(ConfigError, match=f"no rule speling; known are {', '.join(RULES)}"):
        check([folder], ignore=["speling"])
    assert check([folder, folder]).pictures == {"train": 1}  # named twice, looked at once


def test_the_hash_of_looks_ignores_brightness_and_sees_a_mirror() -> None:
    ramp = np.tile(np.linspace(0, 200, 170).astype(np.uint8), (160, 1))
    assert difference_hash(ramp).all()
    assert not difference_hash(ramp[:, ::-1]).any()
    np.testing.assert_array_equal(difference_hash(ramp), difference_hash(ramp // 2 + 30))
