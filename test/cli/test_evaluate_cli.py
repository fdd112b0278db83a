# SPDX-License-Identifier: Apache-2.0
"""armseg evaluate, through the command itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import bags
import pytest
import totes
import yaml
from networks import write_network

from armseg_ros.cli.main import main
from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.evaluate.settings import EvaluateConfig


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_network(tmp_path / "tiny.onnx"))


def test_a_bag_and_the_folder_it_came_from(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    write_bag_from_coco(folder, "test", tmp_path / "bag")
    summaries = []
    for source in ("bag", "coco"):
        run = tmp_path / f"run_{source}"
        arguments = ["--model", model, "--backend", "onnxruntime", "-o", str(run)]
        assert main(["evaluate", str(tmp_path / source), *arguments]) == 0
        summaries.append(json.loads((run / "summary.json").read_text()))
    table = capsys.readouterr().out.splitlines()
    assert table[1].startswith("Object mask")
    first, second = summaries
    for summary in summaries:
        del summary["times"], summary["data"]["name"], summary["data"]["kind"]
    assert first == second
    assert first["model"]["backend"] == "onnxruntime-cpu"


def test_options_reach_the_run(tmp_path: Path, model: str) -> None:
    totes.write_coco(tmp_path / "coco", "val", count=3)
    totes.write_coco(tmp_path / "coco", "test", count=2)
    arguments = ["evaluate", str(tmp_path / "coco"), "--model", model, "-o", str(tmp_path / "run")]
    arguments += ["--split", "val", "--limit", "2", "--score-threshold", "0.95", "--overlays", "1"]
    assert main(arguments) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["data"]["split"] == "val"
    assert summary["frames"]["total"] == 2
    assert summary["settings"]["score_threshold"] == 0.95
    assert json.loads((tmp_path / "run/predictions.json").read_text()) == []
    assert len(list((tmp_path / "run/overlays").iterdir())) == 1


def test_defaults_are_those_of_the_settings(tmp_path: Path, model: str) -> None:
    folder, run = totes.write_coco(tmp_path / "coco"), tmp_path / "run"
    assert main(["evaluate", str(folder), "--model", model, "-o", str(run)]) == 0
    written, defaults = yaml.safe_load((run / "config.yaml").read_text()), EvaluateConfig()
    for name in EvaluateConfig.__slots__:
        assert written[name] == getattr(defaults, name)


def test_nothing_that_was_answered_is_a_mistake(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    shutil.rmtree(folder / "images")
    arguments = ["evaluate", str(folder), "--model", model, "-o", str(tmp_path / "run")]
    assert main(arguments) == 2
    assert "none of 4 pictures was answered" in capsys.readouterr().err


@pytest.mark.parametrize("told", [2, 6])
def test_a_bag_that_miscounts_is_incomplete(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], told: int
) -> None:
    write_bag_from_coco(totes.write_coco(tmp_path / "coco"), "test", tmp_path / "bag")
    metadata = tmp_path / "bag/metadata.yaml"
    text = metadata.read_text().replace("message_count: 4", f"message_count: {told}")
    metadata.write_text(text)
    arguments = ["evaluate", str(tmp_path / "bag"), "--model", model]
    assert main([*arguments, "-o", str(tmp_path / "run")]) == 2
    assert "its storage holds 4" in capsys.readouterr().err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["complete"] is False
    assert (summary["frames"]["answered"], summary["frames"]["total"]) == (4, max(told, 4))
    assert main([*arguments, "-o", str(tmp_path / "few"), "--limit", "2"]) == 0


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["gone"], "gone: no such bag, COCO folder or folder of pictures"),
        (["coco", "--split", "train"], "expected train.json, found test"),
        (["coco", "--score-threshold", "2"], "score_threshold is 2.0, but must lie in 0.0 to 1.0"),
        (["coco", "--live"], "leave out --model"),
        (["huge"], "needs a file_name and an integer id of 64 bits"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    sentence: str,
) -> None:
    totes.write_coco(tmp_path / "coco")
    totes.edit_json(
        totes.write_coco(tmp_path / "huge") / "test.json",
        lambda document: document["images"][0].update(id=2**63),
    )
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *extra, "--model", model, "-o", "run"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_one_of_several_cameras_is_named(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = "sensor_msgs/msg/CompressedImage"
    frames = [(f"/{side}", image, 1, bags.compressed(1)) for side in ("left", "right")]
    bag = str(bags.write(tmp_path / "two", frames))
    arguments = ["evaluate", bag, "--model", model, "-o"]
    assert main([*arguments, str(tmp_path / "a")]) == 2
    assert "/left" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "b"), "--image-topic", "/right"]) == 0
    assert main([*arguments, str(tmp_path / "c"), "--image-topic", "/up"]) == 2
    assert "/up" in capsys.readouterr().err


def test_a_picture_that_fails_shows_in_the_exit_code(tmp_path: Path, model: str) -> None:
    folder, run = totes.write_coco(tmp_path / "coco", count=3), tmp_path / "run"
    next((folder / "images").rglob("*.jpg")).write_text("not a picture")
    assert main(["evaluate", str(folder), "--model", model, "-o", str(run)]) == 2
    frames = json.loads((run / "summary.json").read_text())["frames"]
    assert (frames["answered"], frames["failed"], len(frames["unanswered"])) == (2, 1, 1)
