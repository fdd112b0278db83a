# SPDX-License-Identifier: Apache-2.0
"""Starts the process that builds, passes its progress on, and explains its end."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from armseg_ros.backends.tensorrt.builder import BuildRequest, Built
from armseg_ros.backends.tensorrt.environment import Device, child_environment
from armseg_ros.errors import BackendError, one_line

GRACE_S = 5.0  # for a cancelled builder to end by itself
POLL_S = 0.1
MIB = 1 << 20
INTEGRATED_WORKSPACE = 1024 * MIB  # memory that the CPU's programs need as well
DISCRETE_WORKSPACE = 4096 * MIB
SMALLEST_WORKSPACE = 64 * MIB


def workspace_bytes(device: Device) -> int:
    """Choose how much scratch memory a layer may take: TensorRT's own choice is all there is."""
    free = device.memory_free or device.memory_total // 2
    limit = (
        min(INTEGRATED_WORKSPACE, free // 4)
        if device.integrated
        else min(DISCRETE_WORKSPACE, free // 2)
    )
    return max(SMALLEST_WORKSPACE, limit)


def build_in_child(
    request: BuildRequest,
    report: Callable[[float], None],
    stop: threading.Event,
    api: str = "tensorrt",
) -> Built:
    """Build an engine in a process of its own.

    Args:
        request: What to build.
        report: Called in this thread with the fraction that is done, 0..1, never falling.
        stop: Set by whoever wants the build to end.
        api: Name of the module that builds.

    Raises:
        BackendError: The build failed, was cancelled, or its process was killed.
    """
    try:
        return _build_in(request, report, stop, api)
    except OSError as error:  # no room for the model in the folder of temporary files, no process
        raise BackendError(f"the build could not be run ({one_line(error)})") from error


def _build_in(
    request: BuildRequest, report: Callable[[float], None], stop: threading.Event, api: str
) -> Built:
    with tempfile.TemporaryDirectory(prefix="armseg_build_") as name:
        folder = Path(name)
        _write_request(folder, request, api)
        with (folder / "errors").open("wb") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "armseg_ros.backends.tensorrt.build_process", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C reaches this process alone, which then cancels
            )
            try:
                reason = _follow(child, report, stop)
            finally:
                _end(child)
        if stop.is_set():
            raise BackendError("the build was cancelled")
        if child.returncode != 0:
            last = (folder / "errors").read_text(errors="replace").strip().splitlines()[-1:]
            raise BackendError(_explain(child.returncode, reason, "".join(last)))
        return Built((folder / "plan").read_bytes(), (folder / "timing").read_bytes())


def _write_request(folder: Path, request: BuildRequest, api: str) -> None:
    (folder / "model.onnx").write_bytes(request.onnx)
    (folder / "timing").write_bytes(request.timing_cache)
    settings = {
        "network_hw": list(request.network_hw),
        "workspace_bytes": request.workspace_bytes,
        "optimization_level": request.optimization_level,
        "api": api,
    }
    (folder / "request.json").write_text(json.dumps(settings))


def _follow(
    child: subprocess.Popen[bytes], report: Callable[[float], None], stop: threading.Event
) -> str:
    """Pass progress on until the child ends or is to end; return the reason that it gave."""
    assert child.stdout is not None
    reader = _Reader(child.stdout)
    reported = -1.0
    while not stop.is_set():
        ended = child.poll() is not None
        if ended:
            reader.join()
        if reader.fraction > reported:
            reported = reader.fraction
            report(reported)
        if ended:
            break
        stop.wait(POLL_S)
    return reader.error


class _Reader(threading.Thread):
    """Reads the lines of the child."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.fraction = 0.0
        self.error = ""
        self.start()

    def run(self) -> None:
        for line in self._stream:
            if not line.startswith(b"{"):
                continue  # TensorRT's plugins print lines of their own
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self.fraction = max(self.fraction, float(said.get("fraction", 0.0)))
                self.error = said.get("error", self.error)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Cancel by closing its input, and kill what does not heed that."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _explain(returncode: int, reason: str, last_line: str) -> str:
    if reason:
        return reason
    if returncode == -signal.SIGKILL:
        return (
            "the build was killed, as Linux does when memory runs out: close the desktop and other "
            "programs, add swap, or build with a lower --level or --workspace"
        )
    how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    return f"the building process ended with {how}: {last_line[:300] or 'it said nothing'}"
