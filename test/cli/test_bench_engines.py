# SPDX-License-Identifier: Apache-2.0
"""The table of engines: one row for each that works, a sentence for each that does not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import write_convolutions

from armseg_ros.cli.main import main
from armseg_ros.quantize.static import quantize


def test_every_engine_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, int8 = write_convolutions(tmp_path / "plain.onnx"), tmp_path / "int8.onnx"
    quantize(plain, np.zeros((1, 1, 3, 64, 64), np.float32), int8)
    arguments = ["bench", "--instances", "2", "--repeats", "1", "--engines", "--model", str(plain)]
    assert main([*arguments, "--int8", str(int8)]) == 0
    table = capsys.readouterr().out.split("network on one thread")[1]
    names = re.findall(r"^(\S+) +\d+\.\d+ +\d+\.\d+ +\d+\.\d\d +\d+\.\d\d$", table, re.MULTILINE)
    found = [*names, *re.findall(r"^not (\w+) in bf16", table, re.MULTILINE)]
    assert found[:3] == ["onnxruntime-cpu", "onnxruntime-int8", "openvino-fp32"]
    assert sorted(found[3:]) in (["openvino", "openvino-int8"], ["openvino-bf16", "openvino-int8"])
    assert re.search(r"^onnxruntime-cpu .* 1\.00 +1\.00$", table, re.MULTILINE)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert main([*arguments, "--int8", str(tmp_path / "absent.onnx")]) == 0
    table = capsys.readouterr().out.split("network on one thread")[1]
    assert "not onnxruntime in int8" in table
    assert "absent.onnx: no such model file" in table
    assert "not openvino in fp32: OpenVINO cannot be imported" in table


def test_a_model_that_is_not_there_is_named_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--model", str(tmp_path / "absent.onnx")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "absent.onnx: no such model file; give the path of an ONNX file" in said.err
