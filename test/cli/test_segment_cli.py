# SPDX-License-Identifier: Apache-2.0
"""armseg segment on files and folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from networks import write_network
from pycocotools import mask as coco_mask

from armseg_ros.cli.main import main
from armseg_ros.data.coco import CATEGORIES
from armseg_ros.segmenter import Segmentation, Segmenter
from armseg_ros.types import Frame


def picture(path: Path, hw: tuple[int, int] = (128, 128)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*hw, 3), np.uint8))
    return path


def test_pictures_in_source_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in/a/1.jpg")
    one = picture(tmp_path / "two.png")
    model, out = write_network(tmp_path / "tiny.onnx"), tmp_path / "out"
    arguments = ["segment", str(tmp_path / "in"), str(one), "--model", str(model), "-o", str(out)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{out}: 2 of 2 pictures segmented\n"
    predictions = json.loads((out / "predictions.json").read_text())
    assert [p["image_id"] for p in predictions] == ["a/1.jpg", "two.png"]
    for prediction in predictions:
        assert prediction["category_id"] == 2
        assert prediction["score"] == pytest.approx(0.9)
        assert prediction["bbox"] == pytest.approx([48, 36, 32, 24])  # twice the network's pixels
        assert prediction["segmentation"]["size"] == [128, 128]
        assert coco_mask.area(prediction["segmentation"]) == 32 * 24
    assert [p.name for p in sorted((out / "overlays").iterdir())] == [
        "00001_a_1.jpg", "00002_two.jpg",
    ]  # fmt: skip


def answer_with_class(path: Path, class_id: int) -> Path:
    """Change which class a tiny network answers with."""
    model = onnx.load(path)
    value = model.graph.node[0].attribute[0].t
    rows = onnx.numpy_helper.to_array(value).copy()
    rows[0, 0, 5], rows[0, 0, 5 + class_id] = 0, 1
    value.CopyFrom(onnx.numpy_helper.from_array(rows))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("names", "category_id", "categories"),
    [
        ("{0: 'Tote', 1: 'Object'}", 1, list(CATEGORIES)),
        ("{0: 'tote'}", 1, list(CATEGORIES)),
        ("{0: 'dog', 1: 'Tote'}", 1, [{"id": 1, "name": "dog"}, {"id": 2, "name": "Tote"}]),
        (None, 1, []),
    ],
)
def test_classes_go_by_their_names(
    tmp_path: Path, names: str | None, category_id: int, categories: list[dict[str, Any]]
) -> None:
    one, classes = picture(tmp_path / "1.png"), 1 if names == "{0: 'tote'}" else 2
    model = write_network(tmp_path / "tiny.onnx", classes=classes, names=names)
    assert main(["segment", str(one), "--model", str(model), "-o", str(tmp_path / "out")]) == 0
    (prediction,) = json.loads((tmp_path / "out/predictions.json").read_text())
    assert prediction["category_id"] == category_id
    assert json.loads((tmp_path / "out/categories.json").read_text()) == categories


@pytest.mark.parametrize("named", [True, False])
def test_a_model_of_many_classes(tmp_path: Path, named: bool) -> None:
    names = str({n: f"kind {n}" for n in range(80)}) if named else None
    model = answer_with_class(write_network(tmp_path / "m.onnx", classes=80, names=names), 16)
    one, out = picture(tmp_path / "1.png"), tmp_path / "out"
    assert main(["segment", str(one), "--model", str(model), "-o", str(out)]) == 0
    (prediction,) = json.loads((out / "predictions.json").read_text())
    assert prediction["category_id"] == 17
    categories = json.loads((out / "categories.json").read_text())
    assert (categories[16:17] == [{"id": 17, "name": "kind 16"}]) is named
    assert len(categories) == (80 if named else 0)


def test_a_threshold_above_the_score(tmp_path: Path) -> None:
    one, model = picture(tmp_path / "1.png"), write_network(tmp_path / "tiny.onnx")
    arguments = ["segment", str(one), "--model", str(model), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--score-threshold", "0.95"]) == 0
    assert json.loads((tmp_path / "out/predictions.json").read_text()) == []


def test_a_bad_picture_is_named_and_the_rest_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    good = picture(tmp_path / "in/2.jpg")
    (tmp_path / "in/1.jpg").write_bytes(good.read_bytes()[:-30])
    model = write_network(tmp_path / "tiny.onnx")
    arguments = ["segment", str(tmp_path / "in"), "--model", str(model)]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 2
    assert "1 of 2 pictures segmented" in capsys.readouterr().out
    assert "1.jpg is cut short" in caplog.text


def test_interrupted_it_keeps_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "123":
        picture(tmp_path / f"in/{name}.png")
    model, out, segment = write_network(tmp_path / "tiny.onnx"), tmp_path / "out", Segmenter.segment

    def interrupt_at_the_third(self: Segmenter, frame: Frame) -> Segmentation:
        if frame.sample_id == "3.png":
            raise KeyboardInterrupt
        return segment(self, frame)

    monkeypatch.setattr(Segmenter, "segment", interrupt_at_the_third)
    assert main(["segment", str(tmp_path / "in"), "--model", str(model), "-o", str(out)]) == 130
    error = capsys.readouterr().err
    assert error == f"armseg segment: interrupted; {out} holds the 2 pictures before\n"
    assert len(json.loads((out / "predictions.json").read_text())) == 2


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_network(tmp_path / "tiny.onnx")
    gone = str(tmp_path / "gone.jpg")
    assert main(["segment", gone, "--model", str(model), "-o", str(tmp_path / "out")]) == 2
    assert "gone.jpg: no such picture or folder" in capsys.readouterr().err
    one = str(picture(tmp_path / "1.png"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/predictions.json").write_text("mine")
    assert main(["segment", one, "--model", str(model), "-o", str(tmp_path / "out")]) == 2
    assert "predictions.json exists already" in capsys.readouterr().err
    assert (tmp_path / "out/predictions.json").read_text() == "mine"
    out = str(tmp_path / "1.png/out")
    assert main(["segment", one, "--model", str(model), "-o", out]) == 2
    error = capsys.readouterr().err
    assert "1.png/out" in error
    assert error.count("\n") == 1
