# SPDX-License-Identifier: Apache-2.0
"""How a process enters ROS and leaves it again."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy

from armseg_ros.ros import segmenter_node
from armseg_ros.ros.shared_memory import profile_variable, shared_memory_environment
from armseg_ros.ros.spinner import Spinner

FRAME_BYTES = 2448 * 2048 * 3
LARGEST_MAPPING = """
import re, rclpy
from pathlib import Path
from armseg_ros.ros.live_client import LiveSegmenterClient
from armseg_ros.ros.spinner import init_ros
init_ros(["--ros-args"])
node = rclpy.create_node("first")
with LiveSegmenterClient():
    lines = Path("/proc/self/maps").read_text().splitlines()
spans = [line.split()[0].split("-") for line in lines if "/dev/shm/fast" in line]
print(max(int(end, 16) - int(start, 16) for start, end in spans))
"""


def test_process_without_profile_gets_it_before_its_first_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first node decides: a client made after it would be too late."""
    monkeypatch.delenv(profile_variable(), raising=False)
    if not shared_memory_environment():
        pytest.skip("/dev/shm is too small for the profile")
    done = subprocess.run(
        [sys.executable, "-c", LARGEST_MAPPING],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4 * FRAME_BYTES


def test_node_whose_callback_raises_ends_with_1_and_says_why(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("the timer broke")

    monkeypatch.setattr(segmenter_node.SegmenterNode, "_publish_diagnostics", fail)
    stop = threading.Event()
    limit = threading.Timer(60, stop.set)
    limit.start()
    code = segmenter_node.main(["segmenter", "--ros-args", "-p", f"model:={tiny_model}"], stop)
    limit.cancel()
    said = capfd.readouterr().err
    assert code == 1
    assert "[FATAL]" in said
    assert "RuntimeError: the timer broke" in said


def test_closing_does_not_wait_for_a_callback_that_hangs() -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("hanging", context=context)
    entered, release = threading.Event(), threading.Event()
    node.create_timer(0.01, lambda: (entered.set(), release.wait()))
    ended = threading.Event()
    spinner = Spinner(node, on_end=ended.set)
    assert entered.wait(30)
    spinner.close(timeout_s=0.1)
    assert not ended.is_set()
    release.set()
    spinner.close()
    assert ended.is_set()
    assert spinner.error is None
