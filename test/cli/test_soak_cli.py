# SPDX-License-Identifier: Apache-2.0
"""A short soak of a real node in its own process, and one that cannot start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from networks import write_network  # skips where onnx is missing

pytest.importorskip("rclpy", reason="rclpy is not installed")

from armseg_ros.cli.main import main


def test_a_node_survives_a_short_soak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_network(tmp_path / "tiny.onnx")
    code = main(["soak", "--minutes", "0.15", "--seed", "5", "--model", str(model)])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert "all promises kept" in out
    [answered] = re.findall(r"answered +(\d+)\n", out)
    assert int(answered) > 1
    assert re.search(r"lost +0\n", out)


def test_a_node_that_dies_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["soak", "--minutes", "1", "--model", str(tmp_path / "absent.onnx")]) == 2
    assert "absent.onnx: no such model file" in capsys.readouterr().err
