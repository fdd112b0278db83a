# SPDX-License-Identifier: Apache-2.0
"""The verbs train and export, from the command line on."""

import fcntl
import json
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from armseg_ros.cli.main import main
from armseg_ros.train import checkpoint
from armseg_ros.train.model import YoloV5Seg


def test_train_resume_export(totes, tmp_path):
    run, model = tmp_path / "run", tmp_path / "m.onnx"
    fixed = ["--size", "64x96", "--checks", "1", "--val-limit", "1", "--threads", "1"]
    start = ["train", str(totes), "-o", str(run), "--steps", "1", "--batch-size", "1", *fixed]
    assert main([*start, "--set", "augment.mosaic=0.5", "ema_decay=0.5"]) == 0
    assert "mosaic: 0.5" in (run / "config.yaml").read_text()
    assert main(["train", "--resume", str(run), "--steps", "2"]) == 0
    assert checkpoint.load(run / "last.pt")["step"] == 2
    assert main(["export", str(run), "-o", str(model), "--size", "64x96", "--half"]) == 0
    assert model.stat().st_size < 16_000_000
    assert main(["export", str(run), "-o", str(model)]) == 0
    assert input_shape(model) == [1, 3, 64, 96]
    assert main(["export", str(run / "last.pt"), "-o", str(model)]) == 0
    assert input_shape(model) == [1, 3, 64, 96]


def input_shape(model: Path) -> list[int]:
    [images] = onnx.load(model).graph.input
    return [axis.dim_value for axis in images.type.tensor_type.shape.dim]


USELESS: dict[str, dict[str, Any]] = {
    "no_picture": {"images": [], "annotations": []},
    "no_annotation": {"annotations": []},
    "robots": {"categories": [{"id": 1, "name": "Robot"}, {"id": 2, "name": "Object"}]},
}


def test_mistakes_end_with_one_sentence(totes, changed_totes, tmp_path, capsys):
    torch.save({"model": torch.nn.Conv2d(1, 1, 1)}, tmp_path / "pickled.pt")
    checkpoint.save(tmp_path / "narrow.pt", YoloV5Seg(2, width=0.25).state_dict())
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "last.pt").touch()
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "config.yaml").write_text(f"data: ['{totes}']\nsteps: 1\n")
    useless = [
        str(changed_totes(lambda document, new=new: document.update(new), name))
        for name, new in USELESS.items()
    ]
    output = ["-o", str(tmp_path / "run")]
    for words, arguments in (
        ("no training data", output),
        ("nowhere", ["nowhere", *output]),
        ("holds no picture", [useless[0], *output, "--steps", "1"]),
        ("no annotation", [useless[1], *output, "--steps", "1"]),
        ("Robot", [useless[2], *output, "--steps", "1"]),
        ("such as 448x512@0.3", [str(totes), *output, "--size", "big"]),
        ("--resume", [str(totes), "-o", str(tmp_path / "used")]),
        ("config.yaml", ["--resume", str(tmp_path)]),
        (
            "not a plain state dict",
            [str(totes), *output, "--weights", str(tmp_path / "pickled.pt")],
        ),
        ("another network", [str(totes), *output, "--weights", str(tmp_path / "narrow.pt")]),
        ("KEY=VALUE", [str(totes), *output, "--set", "mosaic"]),
        ("'augment.mosaik'", [str(totes), *output, "--set", "augment.mosaik=1"]),
        ("'seeds'", [str(totes), *output, "--set", "seeds=1"]),
        ("seed is 'abc', but must be a whole number", [str(totes), *output, "--set", "seed=abc"]),
        ("weight_decay is 'x'", [str(totes), *output, "--set", "weight_decay=x"]),
        ("weight_decay is True", [str(totes), *output, "--set", "weight_decay=true"]),
        ("sizes is 3, but must be a list", [str(totes), *output, "--set", "sizes=3"]),
        ("augment is 3", [str(totes), *output, "--set", "augment=3"]),
        ("KEY=VALUE", [str(totes), *output, "--set", "seed=1", "seed.a.b=1"]),
        ("no number, word or list", [str(totes), *output, "--set", "loss.mask=["]),
        ("a whole number", [str(totes), *output, "--set", "batch_size=2.5"]),
        (
            "epochs is 0, but exactly one of them must be above 0",
            [str(totes), *output, "--steps", "0"],
        ),
        ("no such run", ["--resume", str(tmp_path / "absent")]),
        ("val.json", [f"{changed_totes(dict)}/train.json", *output, "--steps", "1"]),
        ("steps is -3", [str(totes), *output, "--steps", "-3"]),
        ("before its first checkpoint", ["--resume", str(tmp_path / "early")]),
    ):
        assert main(["train", *arguments]) == 2, words
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("armseg train: ")
        assert words in message
    assert main(["export", str(tmp_path / "none.pt"), "-o", str(tmp_path / "m.onnx")]) == 2
    assert "none.pt" in capsys.readouterr().err


def test_validation_pictures_are_checked_before_the_first_step(changed_totes, tmp_path, capsys):
    folder = changed_totes(dict)
    document = json.loads((folder / "train.json").read_text())
    document["images"][0]["file_name"] = "gone.png"
    (folder / "val.json").write_text(json.dumps(document))
    run = tmp_path / "run"
    assert main(["train", str(folder), "-o", str(run), "--size", "64x64", "--steps", "1"]) == 2
    assert "gone.png" in capsys.readouterr().err
    assert not run.exists()


def test_two_trainings_do_not_share_a_folder(totes, tmp_path, capsys):
    start = ["train", str(totes), "-o", str(tmp_path), "--size", "64x64", "--steps", "1"]
    with (tmp_path / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(start) == 2
    assert "another armseg train is at work there" in capsys.readouterr().err
    assert not (tmp_path / "last.pt").exists()
    assert main([*start, "--batch-size", "1", "--val-limit", "1", "--checks", "1"]) == 0


@pytest.mark.parametrize("verb", ["train", "export"])
def test_without_pytorch_the_extra_is_named(verb, tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith("armseg_ros.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main([verb, str(tmp_path), "-o", str(tmp_path / "x")]) == 2
    assert "pip install 'armseg_ros[train]'" in capsys.readouterr().err
