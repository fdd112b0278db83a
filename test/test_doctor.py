# SPDX-License-Identifier: Apache-2.0
"""The doctor: whatever is missing, it says so, what to do, and never falls over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from armseg_ros import doctor
from armseg_ros.backends.tensorrt.environment import Device, Environment
from armseg_ros.cli.main import main

ORIN = Device("Orin", (8, 7), 8, True, 8 << 30, 4 << 30)
GOOD = Environment(12060, ORIN, "10.3.0", "2026.1", {})


def found(environment: Environment) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine_gpu(environment)}


def test_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name in (
        "ONNX Runtime", "OpenVINO", "NVIDIA driver", "TensorRT", "pycuda", "ROS 2", "ROS messages",
        "net.core.rmem_max", "/dev/shm", "engine folder",
    ):  # fmt: skip
        assert f" {name}" in out
    for line in out.splitlines():
        assert line.startswith(("ok", "note", "WRONG", "   ")), line


def test_a_good_gpu() -> None:
    findings = found(GOOD)
    assert all(findings[name].state == "ok" for name in ("GPU", "GPU memory", "TensorRT", "pycuda"))
    assert findings["NVIDIA driver"].found == "for CUDA 12.6"
    assert "sm_87, 8 multiprocessors, shares the memory" in findings["GPU"].found


def test_everything_that_can_be_wrong_with_a_gpu_has_advice() -> None:
    nothing = Environment(
        None, None, None, None, {"driver": "no libcuda.so.1", "tensorrt": "no", "pycuda": "no"}
    )
    findings = found(nothing)
    for name in ("NVIDIA driver", "TensorRT", "pycuda"):
        assert findings[name].state == "note"
        assert findings[name].advice
    assert "GPU" not in findings
    assert found(replace(GOOD, device=None))["GPU"].advice.startswith("unset CUDA_VISIBLE_DEVICES")
    assert "JetPack 5" in found(replace(GOOD, tensorrt="8.5.2"))["TensorRT"].advice
    full = found(replace(GOOD, device=replace(ORIN, memory_free=1 << 20)))["GPU memory"]
    assert "close the desktop" in full.advice
    silent = found(replace(GOOD, device=replace(ORIN, memory_free=0)))["GPU memory"]
    assert silent.found == "the driver does not say how much is free"


def test_small_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rmem").write_text("212992\n")
    finding = doctor.examine_receive_buffer(tmp_path / "rmem")
    assert (finding.state, finding.found) == ("note", "0.2 MB")
    assert "sysctl -w net.core.rmem_max=33554432" in finding.advice
    assert doctor.examine_receive_buffer(tmp_path / "none").state == "note"
    (tmp_path / "rmem").write_text("67108864\n")
    assert doctor.examine_receive_buffer(tmp_path / "rmem").state == "ok"
    assert doctor.examine_shared_memory(tmp_path / "none").state == "note"
    monkeypatch.setattr(doctor, "SHARED_MEMORY", 1 << 60)
    assert "--shm-size" in doctor.examine_shared_memory(tmp_path).advice


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda _: None)
    engines = list(doctor.examine_engines())
    assert [(f.name, f.state) for f in engines] == [("ONNX Runtime", "wrong"), ("OpenVINO", "note")]
    assert [f.state for f in doctor.examine_ros()] == ["note"]
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "ARMSEG_ENGINES" in doctor.examine_engine_folder().advice
