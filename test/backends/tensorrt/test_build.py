# SPDX-License-Identifier: Apache-2.0
"""Real builds by TensorRT-RTX, which needs no GPU for them and has the builder's interface."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.tensorrt.detector import WIDTH, write_detector, write_segmenter

from armseg_ros.backends.base import EngineSettings
from armseg_ros.backends.onnx import OnnxBackend
from armseg_ros.backends.tensorrt import engine
from armseg_ros.backends.tensorrt.build import build_in_child, workspace_bytes
from armseg_ros.backends.tensorrt.build_progress import BuildProgress
from armseg_ros.backends.tensorrt.builder import BuildRequest, Built
from armseg_ros.backends.tensorrt.engine import (
    BuildSettings,
    Listener,
    engine_path,
    ensure_engine,
)
from armseg_ros.backends.tensorrt.engine_file import read_engine
from armseg_ros.backends.tensorrt.environment import Device, Environment, child_environment, look
from armseg_ros.backends.tensorrt.onnx_model import prepare
from armseg_ros.backends.tensorrt.selftest import compare, make_picture, require_agreement
from armseg_ros.errors import BackendError
from armseg_ros.models import default_model_path
from armseg_ros.types import RawOutput

RTX = "tensorrt_rtx"
ORIN = Device("Orin", (8, 7), 8, True, 8 << 30, 4 << 30)
HERE = Environment(12060, ORIN, "10.3.0", "2026.1", {})

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec(RTX) is None, reason="tensorrt-rtx is not installed"
)


def request_for(path: Path) -> BuildRequest:
    model = prepare(path, "auto", 640)
    return BuildRequest(model.content, model.network_hw, 64 << 20, optimization_level=1)


def ignore(_: object) -> None:
    """Take progress and do nothing."""


@needs_rtx
def test_build_reports_progress_and_uses_its_timing_cache(tmp_path: Path) -> None:
    request = request_for(write_detector(tmp_path / "n.onnx"))
    fractions: list[float] = []
    built = build_in_child(request, fractions.append, threading.Event(), RTX)
    assert built.plan[1:4] == b"trt"
    assert len(fractions) >= 2
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    stale = replace(request, timing_cache=b"of another GPU")
    assert build_in_child(stale, ignore, threading.Event(), RTX).plan[1:4] == b"trt"


@needs_rtx
def test_build_can_be_cancelled(tmp_path: Path) -> None:
    request = request_for(write_detector(tmp_path / "n.onnx"))
    stop = threading.Event()
    with pytest.raises(BackendError, match="the build was cancelled"):
        build_in_child(request, lambda _: stop.set(), stop, RTX)


@needs_rtx
def test_builder_stops_between_its_steps(tmp_path: Path) -> None:
    """The monitor's answer alone ends the build: nobody kills the process here."""
    path = write_detector(tmp_path / "n.onnx")
    code = f"""
from pathlib import Path
import {RTX} as api
from armseg_ros.backends.tensorrt.builder import build
from armseg_ros.errors import BackendError
from backends.tensorrt.test_build import request_for
asked = []
try:
    build(api, request_for(Path({str(path)!r})), lambda _: None, lambda: asked.append(1) or True)
except BackendError as error:
    print(len(asked), error)
"""
    variables = child_environment()
    variables["PYTHONPATH"] += f":{Path(__file__).parents[2]}"
    answer = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith("the build was cancelled")


@needs_rtx
def test_model_that_does_not_parse() -> None:
    request = BuildRequest(b"not a network", (32, WIDTH), 64 << 20)
    with pytest.raises(BackendError, match=r"TensorRT cannot read this model: .+"):
        build_in_child(request, ignore, threading.Event(), RTX)


@needs_rtx
def test_other_networks_are_refused_before_the_build(tmp_path: Path) -> None:
    request = replace(request_for(write_detector(tmp_path / "n.onnx")), network_hw=(64, 64))
    with pytest.raises(BackendError, match=r"has inputs \[\(1, 3, 32, 1024\)\]"):
        build_in_child(request, ignore, threading.Event(), RTX)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "memory runs out"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with signal 11"),
        ("import os, sys; sys.stderr.write('bad tactic'); os._exit(7)", "exit code 7: bad tactic"),
        ("raise ImportError('libnvinfer.so.10: cannot open')", "libnvinfer.so.10: cannot open"),
    ],
)
def test_what_kills_a_build_kills_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, said: str
) -> None:
    (tmp_path / "deadly.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with pytest.raises(BackendError, match=said):
        build_in_child(BuildRequest(b"", (32, 32), 1), ignore, threading.Event(), "deadly")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_build_ends_with_whoever_asked_for_it(tmp_path: Path, number: int) -> None:
    """Ctrl-C, or the death of the parent, which leaves the pipe to the child at its end."""
    note = tmp_path / "pid"
    (tmp_path / "slow.py").write_text(
        f"import os, pathlib, time\n"
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(120)"
    )
    code = """
import threading
from armseg_ros.backends.tensorrt.build import build_in_child
from armseg_ros.backends.tensorrt.builder import BuildRequest
build_in_child(BuildRequest(b"", (32, 32), 1), print, threading.Event(), "slow")
"""
    variables = child_environment()
    variables["PYTHONPATH"] += f":{tmp_path}"
    variables["TMPDIR"] = str(tmp_path)  # nobody is left to tidy up
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=variables, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: note.exists() and note.read_text())
    parent.send_signal(number)
    assert parent.wait(60) == -number
    status = Path("/proc", note.read_text(), "status")
    wait_for(lambda: not status.exists() or "zombie" in status.read_text())


def wait_for(condition: Callable[[], object]) -> None:
    """Wait up to a minute."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("nothing happened for a minute")


@needs_rtx
def test_engine_is_built_once_and_again_where_it_does_not_fit(tmp_path: Path) -> None:
    """The whole way with a small network: built, found again, explained, refused."""
    model = write_segmenter(tmp_path / "totes.onnx")
    settings = BuildSettings(folder=tmp_path / "engines", optimization_level=0)
    said: list[str] = []
    listener = Listener(say=said.append, progress=ignore)
    built = ensure_engine(model, HERE, settings, listener, RTX)
    assert "there is no engine yet; building it" in said[0]
    assert built.key is not None
    assert (built.key.precision, built.key.network_hw) == ("fp16", (96, 128))
    assert built.class_names == ("Object", "Tote")
    path = engine_path(model, settings)
    assert read_engine(path).plan == built.plan

    found = ensure_engine(model, HERE, settings, listener, "no_such_module")
    assert found.plan == built.plan
    assert len(said) == 2
    anyhow = replace(settings, optimization_level=None)  # as a node asks
    assert ensure_engine(model, HERE, anyhow, listener, "no_such_module").plan == built.plan
    other = replace(settings, optimization_level=4)
    with pytest.raises(BackendError, match="no_such_module"):
        ensure_engine(model, HERE, other, listener, "no_such_module")
    assert "was built at optimization level 0 (now 4)" in said[-1]

    newer = replace(HERE, tensorrt="10.16.1")
    with pytest.raises(BackendError, match="No module named 'no_such_module'"):
        ensure_engine(model, newer, settings, listener, "no_such_module")
    assert "the engine was built by TensorRT 10.3.0 (here 10.16.1); building" in said[-1]
    assert read_engine(path).plan == built.plan  # a build that fails leaves the former engine

    never = replace(settings, rebuild="never")
    with pytest.raises(BackendError, match=r"on Orin .* and rebuild is 'never'; run: armseg"):
        ensure_engine(model, replace(HERE, device=replace(ORIN, name="Thor")), never, listener)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BackendError, match=r"cut short: .*, and rebuild is 'never'"):
        ensure_engine(model, HERE, never, listener)
    reference_fits(built.self_test, model)


def reference_fits(reference: Mapping[str, Any], model: Path) -> None:
    """The stored reference accepts ONNX Runtime's own answer and refuses broken ones."""
    raw = OnnxBackend(model, EngineSettings()).infer(make_picture((96, 128)))
    assert compare(reference, raw).box_px < 0.01
    broken = RawOutput(np.full_like(raw.candidates, np.nan), raw.prototypes)
    empty = RawOutput(raw.candidates, np.zeros_like(raw.prototypes))
    shifted = raw.candidates + np.eye(1, raw.candidates.shape[1], dtype=np.float32) * 40
    for wrong in (broken, empty, RawOutput(shifted, raw.prototypes)):
        with pytest.raises(BackendError, match="the engine fails its self-test"):
            require_agreement(reference, wrong)
    with pytest.raises(BackendError, match="build it again"):
        compare(reference, RawOutput(raw.candidates[:-1], raw.prototypes))


def test_a_timing_cache_that_cannot_be_kept_loses_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_segmenter(tmp_path / "totes.onnx")
    settings = BuildSettings(folder=tmp_path / "engines")
    monkeypatch.setattr(engine, "build_in_child", lambda *_: Built(b"ftrt", b"timing"))
    listener = Listener(ignore, ignore)
    key = ensure_engine(model, HERE, settings, listener).key
    assert key is not None
    assert key.optimization_level == 3
    (timing,) = (tmp_path / "engines").glob("timing-*")
    timing.unlink()
    timing.mkdir()
    (timing / "full").touch()
    again = ensure_engine(model, HERE, replace(settings, rebuild="always"), listener)
    assert again.plan == b"ftrt"


def test_no_room_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(BackendError, match="the build could not be run"):
        build_in_child(BuildRequest(b"", (32, 32), 1), ignore, threading.Event())


def test_int8_is_only_made_of_quantised_models(tmp_path: Path) -> None:
    settings = BuildSettings(folder=tmp_path, precision="int8")
    with pytest.raises(BackendError, match="int8 needs a model with QuantizeLinear nodes"):
        ensure_engine(default_model_path(), HERE, settings, Listener(ignore, ignore))


def test_scratch_memory_leaves_room_for_others() -> None:
    assert workspace_bytes(ORIN) == 1 << 30
    assert workspace_bytes(replace(ORIN, memory_free=1 << 30)) == 256 << 20
    assert workspace_bytes(replace(ORIN, memory_free=1)) == 64 << 20
    assert workspace_bytes(replace(ORIN, integrated=False, memory_free=20 << 30)) == 4 << 30


def test_progress_of_nested_phases_never_goes_back() -> None:
    progress, seen = BuildProgress(), []
    progress.start("build", None, 2)
    for part in ("fuse", "time"):
        progress.start(part, "build", 4)
        for step in range(4):
            progress.step(part, step)
            seen.append(progress.fraction)
        progress.finish(part)
        progress.step("build", ("fuse", "time").index(part))
    assert seen == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.99]
    progress.step("unknown", 1)
    assert progress.fraction == 0.99


@needs_rtx
def test_plans_that_tensorrt_refuses(tmp_path: Path) -> None:
    """Its own words reach our error; the whole plan fails later, for want of a driver."""
    request = request_for(write_segmenter(tmp_path / "n.onnx"))
    plan = build_in_child(request, ignore, threading.Event(), RTX).plan
    (tmp_path / "plan").write_bytes(plan)
    code = f"""
import sys
from pathlib import Path
import {RTX} as api
from armseg_ros.backends.tensorrt.messages import LastMessages
from armseg_ros.backends.tensorrt.network import deserialise
from armseg_ros.errors import BackendError
plan = Path(sys.argv[1]).read_bytes()
for content in (b"no plan at all" * 99, plan[: len(plan) // 2], b"\\0" * 8 + plan[8:], plan):
    try:
        deserialise(api, content, LastMessages())
        print("taken")
    except BackendError as error:
        print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "plan"],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    wrong, short, foreign, whole = answer.stdout.splitlines()
    for line in (wrong, foreign):
        assert "TensorRT refuses the engine (" in line
        assert "magicTag" in line
    assert "blobSize" in short
    if look().driver is None:
        assert "35" in whole  # cudaErrorInsufficientDriver
