# SPDX-License-Identifier: Apache-2.0
"""Signals to a real evaluation: what was answered is kept and says that it is a part."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from networks import write_network

from armseg_ros.evaluate.interrupt import StopRequest, stop_on_signal

PICTURES = 3000


def write_pictures(folder: Path) -> Path:
    """Write more pictures than can be answered before the signal."""
    folder.mkdir()
    cv2.imwrite(str(folder / "0.jpg"), np.zeros((64, 64, 3), np.uint8))
    for number in range(1, PICTURES):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    return folder


def start(tmp_path: Path, *sources: str, workers: int = 1) -> subprocess.Popen[str]:
    """Start ``armseg evaluate`` on folders of so many pictures."""
    folders = [str(write_pictures(tmp_path / name)) for name in sources]
    model = write_network(tmp_path / "tiny.onnx")
    command = [
        *(sys.executable, "-m", "armseg_ros.cli.main", "evaluate", *folders),
        *("--model", str(model), "--overlays", "0", "-o", str(tmp_path / "run")),
        *("--workers", str(workers)),
    ]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_answers(run: Path) -> None:
    end = time.monotonic() + 60
    while not any(path.stat().st_size >= 500 for path in run.glob("**/predictions.json")):
        assert time.monotonic() < end, "the evaluation does not start"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_there(tmp_path: Path, number: signal.Signals) -> None:
    process, run = start(tmp_path, "pictures"), tmp_path / "run"
    try:
        wait_for_answers(run)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    summary = json.loads((run / "summary.json").read_text())
    answered = summary["frames"]["answered"]
    assert summary["complete"] is False
    assert 0 < answered < PICTURES
    assert len(json.loads((run / "predictions.json").read_text())) == answered
    assert pq.read_table(run / "samples.parquet").num_rows == answered
    assert f"interrupted; {run} holds {answered} of {PICTURES} pictures, marked as" in errors
    assert "Traceback" not in errors
    assert f"{answered} of {PICTURES} pictures answered" in out


@pytest.mark.parametrize("signals", [1, 3])
def test_signals_end_workers_before_the_first_source_is_done(tmp_path: Path, signals: int) -> None:
    process = start(tmp_path, "one", "other", workers=2)
    try:
        wait_for_answers(tmp_path / "run")
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    if signals == 1:  # later ones may come when all is said
        assert process.returncode == 130
        assert "go on with --resume" in errors
    assert process.returncode != 0


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "one", "other", workers=2)
    try:
        wait_for_answers(tmp_path / "run")
        process.kill()
        process.communicate(timeout=20)  # a worker that lives on keeps the pipe open
    finally:
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_the_second_signal_interrupts_at_once() -> None:
    request = StopRequest()
    request.handle(signal.SIGINT, None)
    assert request()
    with pytest.raises(KeyboardInterrupt):
        request.handle(signal.SIGINT, None)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as request:
        assert not request()
        os.kill(os.getpid(), signal.SIGINT)
        assert request()
    assert signal.getsignal(signal.SIGINT) is before
