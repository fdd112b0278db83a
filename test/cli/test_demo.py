# SPDX-License-Identifier: Apache-2.0
"""The demo, stopped halfway by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import totes

pytest.importorskip("rclpy", reason="rclpy is not installed")
from networks import write_network

from armseg_ros.data.bag import write_bag_from_coco


def test_sigterm_ends_it_with_its_node_and_keeps_the_run(tmp_path: Path) -> None:
    """The bag lies where an earlier demo would have left it; of many small pictures."""
    bag = tmp_path / "out" / "totes_400_7"
    totes.write_coco(bag, count=400)
    write_bag_from_coco(bag, "test", bag / "bag")
    model = write_network(tmp_path / "tiny.onnx")
    arguments = ["demo", "-o", tmp_path / "out", "-n", "400", "--model", model]
    process = subprocess.Popen(
        [sys.executable, "-m", "armseg_ros.cli.main", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run = tmp_path / "out" / "run_1"
    end = time.monotonic() + 60
    while not list(run.glob("overlays/*")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert json.loads((run / "summary.json").read_text())["complete"] is False
    assert not list(tmp_path.glob("armseg_segmenter_*"))  # removed once the node has ended
