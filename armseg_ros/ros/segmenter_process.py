# SPDX-License-Identifier: Apache-2.0
"""Run the segmenter node as a child process, and end it again.

However this process ends, the node ends with it: it holds the other end of a pipe to here and
stops once that is closed, which the kernel sees to even after SIGKILL. The terminal's Ctrl-C does
not reach it, so that it can answer the picture at hand until it is told to stop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armseg_ros.errors import BackendError
from armseg_ros.ros.shared_memory import shared_memory_environment

STOP_TIMEOUT_S = 15.0  # the image at hand is finished first; a large model on a slow CPU takes long
COMMAND = (
    "import sys; from armseg_ros.ros.process import run_segmenter; "
    "sys.exit(run_segmenter(end_with_parent=True))"
)


class SegmenterProcess:
    """A segmenter node in a process of its own; a context manager that ends it.

    Attributes:
        pid: Process id.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Any) -> None:
        """Take over a started process and the temporary folder with its parameters and log."""
        self._process = process
        self._folder = folder
        self.pid = process.pid

    def __enter__(self) -> SegmenterProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check_running(self) -> None:
        """Raise ``BackendError`` with the node's last words once it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            words = self.log().strip().splitlines() or ["it said nothing"]
            raise BackendError(f"the segmenter node ended with exit code {code}: {words[-1]}")

    def wait(self, timeout_s: float) -> int:
        """Wait for the node to end by itself and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It is still running.
        """
        return self._process.wait(timeout_s)

    def log(self) -> str:
        """Return what the node has written so far; empty once it was stopped."""
        path = Path(self._folder.name) / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """End the node with SIGINT, or with SIGKILL where that does not help.

        Returns:
            Its exit code; negative is the number of the signal that killed it. A second call
            returns the same.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._folder.cleanup()
        return self._process.returncode


def start_segmenter_process(
    parameters: Mapping[str, Any], domain_id: int | None = None, namespace: str = "/"
) -> SegmenterProcess:
    """Start the node; it is ready once ``LiveSegmenterClient.wait_for_segmenter`` returns.

    It runs with the shared memory profile, on this host only, and with the modules that this
    process runs with.

    Args:
        parameters: Of the node; see ``armseg_ros.ros.parameters``.
        domain_id: DDS domain; None keeps that of the environment.
        namespace: Of the node and its topics.
    """
    folder = tempfile.TemporaryDirectory(prefix="armseg_segmenter_")
    arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
    if parameters:  # an empty document would be an error
        path = Path(folder.name) / "parameters.yaml"
        document = {"/**": {"ros__parameters": dict(parameters)}}
        path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
        arguments += ["--params-file", str(path)]
    with (Path(folder.name) / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(domain_id),
        )
    return SegmenterProcess(process, folder)


def _environment(domain_id: int | None) -> dict[str, str]:
    environment = os.environ | shared_memory_environment()
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if domain_id is not None:
        environment["ROS_DOMAIN_ID"] = str(domain_id)
    source = str(Path(__file__).parents[2])
    paths = [source, environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
