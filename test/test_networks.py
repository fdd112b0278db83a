# SPDX-License-Identifier: Apache-2.0
"""Tests that need a network are skipped with a reason where onnx is missing, as it is in apt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITHOUT_ONNX = """
import sys, pytest
sys.modules["onnx"] = None
sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    "chosen",
    [
        ["test/ros/test_segmenter_node.py", "test/ros/test_slot.py"],  # one imports networks
        ["test/ros/test_spinner.py", "test/ros/test_slot.py", "-k", "raises or slot"],  # a fixture
    ],
)
def test_without_onnx_they_are_skipped_and_the_others_run(chosen: list[str]) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ONNX, *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "onnx is not installed" in done.stdout
    assert "3 passed, 1 skipped" in done.stdout
