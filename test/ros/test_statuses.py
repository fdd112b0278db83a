# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says, and when it warns."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
from diagnostic_msgs.msg import DiagnosticStatus

from armseg_ros.ros.diagnostics import BROKEN, STAGES, TOTAL, WAIT, Statistics
from armseg_ros.ros.memory import GpuMemory, resident_mb
from armseg_ros.ros.parameters import PARAMETERS
from armseg_ros.ros.statuses import HANG_S, Condition, make_statuses

VALUES = {parameter.name: parameter.default for parameter in PARAMETERS}
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def condition(**changes: Any) -> Condition:
    usual = {
        "state": "active",
        "idle": "",
        "loading": "",
        "incompatible": "",
        "model": None,
        "waiting": False,
        "at_hand_s": None,
        "memory_mb": 200.0,
        "gpu_memory_mb": None,
    }
    return Condition(**(usual | changes))


def busy(total_ms: float = 50.0, images: int = 10) -> Statistics:
    statistics = Statistics()
    for _ in range(images):
        statistics.receive()
        statistics.answer({TOTAL: total_ms, WAIT: 1.0})
    return statistics


def statuses(
    statistics: Statistics, now: Condition | None = None, **values: Any
) -> dict[str, tuple[bytes, str, dict[str, str]]]:
    made = make_statuses("/n", statistics.snapshot(), now or condition(), VALUES | values)
    assert [status.name for status in made] == [
        f"/n: {part}" for part in ("segmentation", "model", "stages", "memory")
    ]
    return {
        status.name.removeprefix("/n: "): (
            status.level,
            status.message,
            {pair.key: pair.value for pair in status.values},
        )
        for status in made
    }


def test_stages_have_percentiles_of_those_that_ran() -> None:
    statistics = Statistics()
    for total in range(1, 101):
        statistics.answer({TOTAL: float(total), WAIT: 2.0})
    _, said, values = statuses(statistics)["stages"]
    assert values["total p50 (ms)"] == "50.5"
    assert values["total p99 (ms)"] == "99.0"
    assert values["wait p99 (ms)"] == "2.0"
    assert values["inference p50 (ms)"] == "nan"
    assert len(values) == 2 * len(STAGES)
    assert said == "50 ms in the median, p99 99 ms"
    assert statuses(Statistics())["stages"][:2] == (OK, "no image was answered yet")


@pytest.mark.parametrize(("limit", "level"), [(0.0, OK), (120.0, OK), (60.0, WARN), (40.0, ERROR)])
def test_latency_is_judged_by_its_limit(limit: float, level: bytes) -> None:
    statistics = busy(50.0, images=90)
    for _ in range(10):
        statistics.answer({TOTAL: 100.0})
    found, said, _ = statuses(statistics, warn_latency_ms=limit)["stages"]
    assert found == level
    assert ("above warn_latency_ms" in said) == (level != OK)


def test_rate_is_judged_by_its_limit() -> None:
    assert statuses(busy(images=10))["segmentation"][0] == OK
    level, said, _ = statuses(busy(images=10), warn_rate_hz=5.0)["segmentation"]
    assert level == WARN
    assert said == "answering 2.0 of 2.0 images per second, less than warn_rate_hz = 5"
    unanswered = Statistics()
    unanswered.receive()
    assert statuses(unanswered, warn_rate_hz=5.0)["segmentation"][0] == ERROR
    assert statuses(Statistics())["segmentation"][:2] == (WARN, "no image in the last 5 s")


def test_camera_that_cannot_be_received_is_named_while_no_image_comes() -> None:
    deaf = condition(incompatible="a camera offers too little")
    assert statuses(Statistics(), deaf)["segmentation"][:2] == (WARN, "a camera offers too little")
    assert statuses(busy(), deaf)["segmentation"][0] == OK


def test_idle_node_warns_of_nothing() -> None:
    idle = condition(idle="inactive", state="inactive")
    assert statuses(Statistics(), idle, warn_rate_hz=5.0)["segmentation"][:2] == (OK, "inactive")


def test_engine_that_hangs_is_an_error() -> None:
    level, said, _ = statuses(busy(), condition(at_hand_s=HANG_S + 2))["segmentation"]
    assert level == ERROR
    assert said == "the engine has been at one image for 12 s"


def test_broken_images_warn_and_without_answers_are_an_error() -> None:
    statistics = busy()
    statistics.drop(BROKEN, "no picture")
    assert statuses(statistics)["segmentation"][:2] == (WARN, "no picture")
    broken = Statistics()
    broken.receive()
    broken.drop(BROKEN, "no picture")
    assert statuses(broken)["segmentation"][0] == ERROR


def test_memory_is_judged_by_its_limit() -> None:
    assert statuses(busy())["memory"][0] == OK
    now = condition(memory_mb=1500.0, gpu_memory_mb=812.3, waiting=True, at_hand_s=0.25)
    level, said, values = statuses(busy(), now, warn_memory_mb=1000.0)["memory"]
    assert (level, said) == (WARN, "1500 MB resident, above warn_memory_mb = 1000")
    assert values == {
        "resident (MB)": "1500.0",
        "on the GPU (MB)": "812",
        "image waits": "true",
        "at one image for (s)": "0.2",
    }


def test_progress_of_a_load_is_told() -> None:
    level, said, values = statuses(busy(), condition(loading="loading a model"))["model"]
    assert (level, said) == (OK, "loading a model")
    assert values == {"state": "active"}


def test_resident_memory_grows_with_what_is_held() -> None:
    before = resident_mb()
    held = b"x" * 50_000_000
    assert 40 < resident_mb() - before < 80
    assert len(held) == 50_000_000


def test_gpu_memory_is_that_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GpuMemory().used_mb() is None  # no driver
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\necho '1, 4000'\necho '{os.getpid()}, 1000'\n")
    command.chmod(0o755)
    memory = GpuMemory()
    assert memory.used_mb() == pytest.approx(1048.576)
    command.unlink()
    assert memory.used_mb() == pytest.approx(1048.576)  # it does not ask each time
    memory._asked_at = time.monotonic() - 60
    assert memory.used_mb() is None
    command.write_text("#!/bin/sh\necho 'No devices were found'\n")
    command.chmod(0o755)
    assert GpuMemory().used_mb() is None
