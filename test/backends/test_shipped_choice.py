# SPDX-License-Identifier: Apache-2.0
"""Which file of the shipped weights an engine gets, by precision and processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import write_convolutions

from armseg_ros.backends import base, processor
from armseg_ros.backends.base import EngineSettings, choose_backend
from armseg_ros.errors import BackendError
from armseg_ros.quantize.static import quantize

X86 = "processor : 0\nflags\t\t: fpu avx2 {}\n\nprocessor : 1\nflags\t\t: fpu avx2 {}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU part\t: 0xd42\n"


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        (X86.format("avx512_vnni", "avx512_vnni"), True),
        (X86.format("avx_vnni", "avx_vnni"), True),
        (X86.format("avx512f", "avx512f"), False),
        (ARM.format("asimddp"), True),
        (ARM.format("aes"), False),
        ("", False),
        (None, False),
    ],
)
def test_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, fast: bool
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    assert processor.computes_int8_fast() == fast


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, int8 = write_convolutions(tmp_path / "float.onnx"), tmp_path / "int8.onnx"
    quantize(plain, np.zeros((1, 1, 3, 64, 64), np.float32), int8)
    monkeypatch.setattr(base, "default_model_path", lambda: plain)
    monkeypatch.setattr(base, "int8_model_path", lambda: int8)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("precision", "fast", "stem"),
    [
        ("auto", True, "int8"),
        ("auto", False, "float"),
        ("int8", False, "int8"),
        ("fp32", True, "float"),
    ],
)
def test_file_of_a_cpu_engine(
    monkeypatch: pytest.MonkeyPatch, engine: str, precision: str, fast: bool, stem: str
) -> None:
    monkeypatch.setattr(base, "computes_int8_fast", lambda: fast)
    choice = choose_backend(None, engine, EngineSettings(precision=precision))
    assert choice.backend.model.path.stem == stem
    assert (choice.backend.name == f"{engine}-int8") == (stem == "int8")


@pytest.mark.usefixtures("shipped")
def test_tensorrt_gets_the_float_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def open_tensorrt(model: Path, *_: object) -> None:
        asked.append(model)
        raise BackendError("no driver")

    monkeypatch.setattr("armseg_ros.backends.tensorrt.open_tensorrt", open_tensorrt)
    choose_backend(None, "auto")
    assert [path.stem for path in asked] == ["float"]


@pytest.mark.usefixtures("shipped")
def test_a_model_that_is_named_is_the_one_that_runs(tmp_path: Path) -> None:
    choice = choose_backend(write_convolutions(tmp_path / "mine.onnx"), "onnxruntime")
    assert choice.backend.model.path.stem == "mine"
