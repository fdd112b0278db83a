# SPDX-License-Identifier: Apache-2.0
"""The armseg synth verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from armseg_ros.cli import main as cli
from armseg_ros.cli import synth
from armseg_ros.errors import ConfigError
from armseg_ros.synthetic import write

SMALL = ["--size", "64x54", "--split", "train=1,val=1"]


def test_it_renders_a_folder_and_a_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "totes"
    assert cli.main(["synth", str(out), "-n", "2", "--bag", *SMALL]) == 0
    assert "1 train, 1 val" in capsys.readouterr().out
    assert (out / "train.json").exists()
    assert (out / "train_bag").is_dir()


def test_a_used_folder_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "something").touch()
    assert cli.main(["synth", str(tmp_path), "-n", "1", *SMALL]) == 2
    error = capsys.readouterr().err
    assert error.startswith("armseg synth: ")
    assert "not empty" in error
    assert error.count("\n") == 1


def test_ctrl_c_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write.render_tote

    def stop_at_one(seed: int, index: int, size: tuple[int, int]) -> object:
        if index == 1:
            raise KeyboardInterrupt
        return whole(seed, index, size)

    monkeypatch.setattr(write, "render_tote", stop_at_one)
    assert cli.main(["synth", str(tmp_path / "cut"), "-n", "3", *SMALL]) == 130
    error = capsys.readouterr().err
    assert "1 of 3 pictures are kept" in error
    assert "--resume" in error


@pytest.mark.parametrize(
    "text", ["640", "640x", "x480", "640x480x3", "-64x48", "6.4x4", "axb", "²x³"]
)
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ConfigError, match="WIDTHxHEIGHT"):
        synth.parse_size(text)


def test_sizes() -> None:
    assert synth.parse_size("816x683") == (816, 683)
    assert synth.parse_size("816X683") == (816, 683)
