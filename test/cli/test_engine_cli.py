# SPDX-License-Identifier: Apache-2.0
"""``armseg engine`` where there is no GPU: what can be told is told, the rest refused."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from backends.tensorrt.detector import write_segmenter

from armseg_ros.backends.tensorrt import environment
from armseg_ros.backends.tensorrt.engine_file import EngineFile, write_engine
from armseg_ros.backends.tensorrt.engine_key import EngineKey
from armseg_ros.backends.tensorrt.environment import Device, Environment, look
from armseg_ros.cli.main import main


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = EngineKey("ab" * 32, "10.3.0", "Orin", "8.7", 8, 12060, "fp16", (448, 544), 3)
    path = tmp_path / "m.engine"
    write_engine(path, EngineFile(b"ftrt....", key=key, class_names=("Object", "Tote")))
    assert main(["engine", "inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "Orin (sm_87, 8 multiprocessors)" in out
    assert "on this machine" in out
    path.write_bytes(b"\x08\x09\x12\x07pytorch")
    assert main(["engine", "inspect", str(path)]) == 2
    assert "is an ONNX model, not an engine" in capsys.readouterr().err


def test_build_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "build", str(tmp_path / "none.onnx")]) == 2
    assert "no such model file" in capsys.readouterr().err
    if look().driver is not None:
        pytest.skip("there is a driver here")
    assert main(["engine", "build", "--folder", str(tmp_path)]) == 2
    assert "TensorRT cannot run here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_build_and_inspect_with_tensorrt_rtx(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verb from its options to the file; the GPU alone is made up."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt-rtx is not installed")
    (tmp_path / "tensorrt.py").write_text(
        "import sys, tensorrt_rtx\nsys.modules[__name__] = tensorrt_rtx\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    orin = Device("Orin", (8, 7), 8, True, 8 << 30, 4 << 30)
    here = Environment(12060, orin, "10.3.0", "2026.1", {})
    monkeypatch.setattr(environment, "look", lambda: here)
    model = write_segmenter(tmp_path / "totes.onnx")
    build = ["engine", "build", str(model), "--folder", str(tmp_path / "engines"), "--level", "0"]
    assert main(build) == 0
    out, err = capfd.readouterr()
    path = Path(out.strip().splitlines()[-1])
    assert path.is_file()
    assert "there is no engine yet; building it from" in out + err
    assert "100%" in err
    assert main(["engine", "inspect", str(path)]) == 0
    assert "on this machine     fits" in capfd.readouterr().out
    before = path.stat().st_mtime_ns
    assert main(build) == 0
    assert path.stat().st_mtime_ns == before
    assert main([*build, "--force"]) == 0
    assert path.stat().st_mtime_ns > before
    assert "a new engine was asked for" in "".join(capfd.readouterr())


def test_the_documentation_names_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    text = (root / "docs/tensorrt.md").read_text(encoding="utf-8")
    named = set(re.findall(r"test_\w+\.py", text))
    assert len(named) >= 6
    for name in named:
        assert list((root / "test").rglob(name)), name
