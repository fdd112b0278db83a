# SPDX-License-Identifier: Apache-2.0
"""A rendering that is ended from outside leaves no worker behind and can go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_workers_too(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "totes"
    command = [sys.executable, "-m", "armseg_ros.cli.main", "synth", str(out), "-n", "500"]
    process = subprocess.Popen(
        [*command, "--seed", "1", "--size", "160x134", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 120
        while not list(out.glob("images/*.jpg")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]  # a worker that lives on keeps the pipe open
    finally:
        process.kill()
    killed = number == signal.SIGKILL
    assert process.returncode == (-signal.SIGKILL if killed else 130)
    assert ("add --resume to the same command to go on" in said) is not killed
