# SPDX-License-Identifier: Apache-2.0
"""armseg compare as a gate: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import totes
from oracle import Oracle

from armseg_ros.cli.main import main
from armseg_ros.data.source import open_source
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A perfect run and a spoiled one."""
    folder = tmp_path_factory.mktemp("runs")
    source = open_source(totes.write_coco(folder / "coco", count=6))
    for name, perfect in (("perfect", True), ("spoiled", False)):
        evaluate(source, Oracle(source, perfect=perfect), EvaluateConfig(), folder / name)
    return [str(folder / "perfect"), str(folder / "spoiled")]


def test_a_gate_fails_with_its_condition(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.json"
    gates = ["--fail-if", "recall < -0.01", "--fail-if", "recall > 0.5"]
    assert main(["compare", *runs, *gates, "--json", str(out)]) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "failed: recall < -0.01"
    assert printed.startswith(f"first:  {runs[0]}, oracle@0 on oracle\nsecond: {runs[1]}, oracle@0")
    assert "6 pictures in both runs, 6 labelled" in printed
    written = json.loads(out.read_text())
    assert written["deltas"]["recall"]["a"] == 1.0
    assert written["lost"] == len(written["changes"]) > 0


def test_a_gate_that_holds_back_nothing(runs: list[str]) -> None:
    assert main(["compare", *runs]) == 0
    assert main(["compare", *reversed(runs), "--fail-if", "object_mask_ap < -0.01"]) == 0


def test_mistakes_end_with_2(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *runs, "--fail-if", "recall is low"]) == 2
    assert main(["compare", runs[0], str(tmp_path / "nothing")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("armseg compare: --fail-if 'recall is low': expected NAME < NUMBER")
    assert "no such run folder" in errors[1]
    assert len(errors) == 2
