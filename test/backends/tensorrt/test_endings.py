# SPDX-License-Identifier: Apache-2.0
"""However a process with an engine ends, the context is given back by its own thread first."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from backends.tensorrt.detector import write_segmenter

from armseg_ros.backends.tensorrt.environment import child_environment

OPEN = """
import sys
from pathlib import Path
from backends.tensorrt import pretended
from backends.tensorrt.test_session import backend_of

class Device(pretended.PretendedDevice):
    def close(self):
        super().close()  # asserts the thread
        print("context given back", flush=True)

import backends.tensorrt.test_session as session_test
session_test.PretendedDevice = Device
backend, _ = backend_of(Path(sys.argv[1]).read_bytes())
print("open", flush=True)
"""


def start(model: Path, end: str) -> subprocess.Popen[str]:
    variables = child_environment()
    variables["PYTHONPATH"] += f":{Path(__file__).parents[2]}"
    code = OPEN + textwrap.dedent(end)
    child = subprocess.Popen(
        [sys.executable, "-c", code, model],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    return child


@pytest.mark.parametrize(
    ("end", "number", "code"),
    [
        ("", None, 0),
        ("raise RuntimeError", None, 1),
        ("import time; time.sleep(60)", signal.SIGINT, -signal.SIGINT),
    ],
)
def test_the_context_is_given_back(tmp_path: Path, end: str, number: int | None, code: int) -> None:
    child = start(write_segmenter(tmp_path / "n.onnx"), end)
    if number is not None:
        child.send_signal(number)
    assert child.stdout is not None  # communicate() would miss what readline() has read ahead
    assert child.stdout.read() == "context given back\n"
    assert child.wait(60) == code
