# SPDX-License-Identifier: Apache-2.0
"""How a process enters ROS and leaves it again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from armseg_ros.ros.shared_memory import VARIABLE, shared_memory_environment

ROOT = Path(__file__).parents[2]
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
spans = [line.split()[0].split("-") for line in lines if "/dev/shm/fastdds" in line]
print(max(int(end, 16) - int(start, 16) for start, end in spans))
"""


def test_process_without_profile_gets_it_before_its_first_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first node decides: a client made after it would be too late."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if not shared_memory_environment():
        pytest.skip("/dev/shm is too small for the profile")
    done = subprocess.run(
        [sys.executable, "-c", LARGEST_MAPPING],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4 * FRAME_BYTES
