# SPDX-License-Identifier: Apache-2.0
"""The armseg command: help, errors as one line, exit codes."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import pytest

from armseg_ros.cli import main as cli
from armseg_ros.errors import DataError


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for verb in cli.VERBS:
        assert verb in text
        assert importlib.import_module(f"armseg_ros.cli.{verb}").HELP


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_tells_defaults_once_and_only_those_that_say_something(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert not re.search(r"\(default[^)]*\) \(default", text)
    for nothing in ("None", "False", "", "[]"):
        assert f"(default: {nothing})" not in text


def test_help_tells_plain_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["segment", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "lowest score (default: 0.25)" in text
    assert "0 = engine's choice (default: 0)" in text


def test_no_verb_is_a_mistake() -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (DataError("bag.mcap: is empty"), 2, "armseg bench: bag.mcap: is empty\n"),
        (KeyboardInterrupt(), 130, "armseg bench: interrupted\n"),
        (KeyboardInterrupt("2 are kept"), 130, "armseg bench: interrupted; 2 are kept\n"),
        (
            NotADirectoryError(20, "Not a directory", "a/b"),
            2,
            "armseg bench: a/b cannot be used: Not a directory; check",
        ),
        (OSError("no space"), 2, "armseg bench: no space\n"),
    ],
)
def test_errors_become_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    sentence: str,
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr("armseg_ros.cli.bench.run", fail)
    assert cli.main(["bench"]) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_bench_prints_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--instances", "3", "--repeats", "1"]) == 0
    table = capsys.readouterr().out
    stages = ("letterbox", "decode and masks", "flags for split", "run-lengths", "full frames")
    for stage in stages:
        assert stage in table
    assert "3 instances, 2448x2048" in table


def test_bench_names_the_bad_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--instances", "99"]) == 2
    assert "--instances is 99, but must lie in 1 to 32" in capsys.readouterr().err


def test_bench_measures_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    assert cli.main(["bench", "--node", "--repeats", "2", "--instances", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    p50 = {line[:40].strip(): float(line[40:].split()[0]) for line in lines}
    parts = p50["of which the node"] + p50["of which DDS, both ways"]
    assert p50["everything but the network"] == pytest.approx(parts, abs=0.1)
    assert p50["round trip"] >= p50["everything but the network"] > 0


@pytest.mark.parametrize(
    "words",
    [["evaluate", "", "-o", "run"], ["segment", "a.jpg", "-o", ""], ["synth", "  ", "-n", "1"]],
)
def test_blank_paths_are_not_the_current_folder(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith(f"armseg {words[0]}: the argument after ")
    assert "is blank" in message
    assert len(message.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
