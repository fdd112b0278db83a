# SPDX-License-Identifier: Apache-2.0
"""The node as a process: how it ends, what it says when it cannot start, large images to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from armseg_ros.errors import ArmsegError, BackendError
from armseg_ros.ros import messages
from armseg_ros.ros.live_client import LiveSegmenterClient, NoAnswerError
from armseg_ros.ros.qos import RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_node import SegmenterNode, main
from armseg_ros.ros.segmenter_process import SegmenterProcess, start_segmenter_process
from armseg_ros.ros.shared_memory import profile_variable

PICTURE = np.zeros((96, 128, 3), np.uint8)
LARGE = np.random.default_rng(2).integers(0, 256, (2048, 2448, 3), np.uint8)
FRAMES = 40
PERIOD_S = 0.1


def handles_signals(pid: int) -> bool:
    """Whether SIGTERM, which Python leaves alone by default, is caught by now."""
    text = Path(f"/proc/{pid}/status").read_text()
    caught = int(
        next(line for line in text.splitlines() if line.startswith("SigCgt")).split()[1], 16
    )
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def said(process: SegmenterProcess) -> list[str]:
    """Lines of the node, but for the warning that a container's /dev/shm is small."""
    return [line for line in process.log().splitlines() if "/dev/shm" not in line]


@pytest.fixture
def segmenter(tiny_model: Path) -> Iterator[SegmenterProcess]:
    with start_segmenter_process({"model": str(tiny_model), "threads": 1}) as process:
        yield process


@pytest.mark.parametrize(
    "signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)]
)
def test_signals_end_it_cleanly(
    segmenter: SegmenterProcess, signals: tuple[signal.Signals, ...]
) -> None:
    with LiveSegmenterClient() as client:
        client.wait_for_segmenter(60, segmenter.check_running)
        client.ask_image(PICTURE, 30)
    for number in signals:
        os.kill(segmenter.pid, number)
    assert segmenter.wait(60) == 0
    assert "Traceback" not in segmenter.log()
    assert len(said(segmenter)) == 2  # its model and its topic, when it started


PARENT = """
import sys, time
from armseg_ros.ros.segmenter_process import start_segmenter_process
process = start_segmenter_process({"model": sys.argv[1], "threads": 1})
print(process.pid, flush=True)
time.sleep(300)
"""


def is_running(pid: int) -> bool:
    """Whether a process is there and is more than an exit code that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_ends_when_its_parent_is_killed(tiny_model: Path, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tiny_model)],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to tidy up
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pid = int(parent.stdout.readline())
        with LiveSegmenterClient() as client:
            client.wait_for_segmenter(60)
        assert is_running(pid)
    finally:
        parent.kill()
        parent.communicate()
    end = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < end, "the node outlives its parent"
        time.sleep(0.1)


@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.4, 0.6])
def test_signal_while_it_starts_leaves_no_traceback(tiny_model: Path, delay_s: float) -> None:
    """Wherever in its start the signal hits, once the handlers stand."""
    with start_segmenter_process({"model": str(tiny_model)}) as process:
        end = time.monotonic() + 30
        while not handles_signals(process.pid):
            assert time.monotonic() < end
            time.sleep(0.005)
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.log()
        assert "Failed" not in process.log()


WAITING = """
import signal, sys, threading, time
from armseg_ros.ros.process import stop_on_signals

def take() -> None:
    while not stop._cond._waiters:
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

stop = stop_on_signals()
if sys.argv[1] == "another":
    threading.Thread(target=take, daemon=True).start()
else:
    with stop._cond:  # as within its methods
        signal.raise_signal(signal.SIGINT)
stop.wait()
"""


@pytest.mark.parametrize("case", ["another", "locked"])
def test_signal_ends_the_wait(case: str) -> None:
    """Though another thread takes it, or the main thread holds the lock of the event."""
    done = subprocess.run([sys.executable, "-c", WAITING, case], timeout=60, check=False)
    assert done.returncode == 0


def test_missing_model_is_one_fatal_sentence(tmp_path: Path) -> None:
    with start_segmenter_process({"model": str(tmp_path / "absent.onnx")}) as process:
        assert process.wait(60) == 2
        [sentence] = said(process)
        assert "[FATAL]" in sentence
        with pytest.raises(BackendError, match=r"exit code 2: .*absent\.onnx: no such model"):
            process.check_running()


@pytest.mark.parametrize("arguments", [["-p", "bad"], ["--params-file", "/absent.yaml"], ["--no"]])
def test_wrong_ros_arguments_are_refused(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["segmenter", "--ros-args", *arguments], threading.Event()) == 2
    [fatal] = [line for line in capfd.readouterr().err.splitlines() if "[FATAL]" in line]
    assert arguments[-1] in fatal


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("image_transport", "theora", "theora.*raw, compressed"),
        ("image_reliability", "maybe", "maybe.*reliable, best_effort"),
        ("backend", "abacus", "abacus.*auto"),
        ("score_threshold", 7.0, "score_threshold"),
        ("score_threshold", 1, "score_threshold.*DOUBLE"),
        ("class_ids", [-3], "class_ids"),
    ],
)
def test_start_with_wrong_parameters_is_refused(
    graph: object, tiny_model: Path, name: str, value: object, complaint: str
) -> None:
    overrides = [Parameter("model", value=str(tiny_model)), Parameter(name, value=value)]
    with pytest.raises((ArmsegError, ParameterException), match=complaint):
        SegmenterNode(context=graph.context, parameter_overrides=overrides)


def test_client_outlives_the_segmenter(tiny_model: Path) -> None:
    parameters = {"model": str(tiny_model), "threads": 1, "backend": "onnxruntime"}
    with LiveSegmenterClient() as client:
        with pytest.raises(NoAnswerError, match="no segmenter between /image and"):
            client.wait_for_segmenter(0.1)
        with start_segmenter_process(parameters) as first:
            client.wait_for_segmenter(60, first.check_running)
            answer = client.ask_image(PICTURE, 30)
            assert len(answer.detections) == 1
            assert answer.backend == "onnxruntime-cpu"
            assert answer.model_id.startswith("tiny@")
            assert answer.round_trip_ms >= answer.times.total > 0
            os.kill(first.pid, signal.SIGKILL)
            first.wait(60)
            with pytest.raises(NoAnswerError):
                client.ask_image(PICTURE, 1)
        with start_segmenter_process(parameters) as second:
            client.wait_for_segmenter(60, second.check_running)
            assert len(client.ask_image(PICTURE, 30).detections) == 1


def test_waiting_for_a_segmenter_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_text("not a network")
    with (
        LiveSegmenterClient() as client,
        start_segmenter_process({"model": str(broken)}) as process,
        pytest.raises(BackendError, match=r"exit code 2: .*broken\.onnx"),
    ):
        client.wait_for_segmenter(60, process.check_running)


class Camera:
    """Publishes at a rate and waits for nobody, as a driver does."""

    def __init__(self, graph: Any, reliability: str, depth: int) -> None:
        self._graph = graph
        self.counts: dict[str, str] = {}
        self._before = 0
        self._node = graph.add(rclpy.create_node("camera", context=graph.context))
        self._node.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, RESULT_QOS
        )
        self._publisher = self._node.create_publisher(Image, "image", image_qos(reliability, depth))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.counts = {pair.key: pair.value for pair in message.status[0].values}

    def meet(self, message: Image) -> None:
        """Publish until one arrives: DDS loses the first ones where one side knows the other."""
        self._graph.spin_until(self._publisher.get_subscription_count, 60)
        self._graph.spin_until(lambda: self.counts, 60)
        end = time.monotonic() + 60
        while not self.received():
            assert time.monotonic() < end, "no image arrives"
            self._publisher.publish(message)
        self._before = self.received()

    def run(self, message: Image, frames: int, period_s: float) -> None:
        """Publish so many, never faster than the period."""
        left = frames

        def publish() -> None:
            nonlocal left
            left -= 1
            self._publisher.publish(message)
            if not left:
                timer.cancel()

        timer = self._node.create_timer(period_s, publish)
        self._graph.spin_until(lambda: not left, 120)

    def received(self, settled_s: float = 3.0) -> int:
        """Return how many images of ``run`` the node has, once it has had time for the last."""
        end = time.monotonic() + settled_s
        self._graph.spin_until(lambda: time.monotonic() > end)
        return self._count()

    def wait_for(self, images: int) -> None:
        """Wait until the node has had so many images of ``run``."""
        self._graph.spin_until(lambda: self._count() >= images, 60)

    def _count(self) -> int:
        return int(self.counts["images received"]) - self._before


def large_image() -> Image:
    """15 MB."""
    return messages.image_to_message(LARGE, "bgr8", Header(frame_id="camera"))


def test_no_large_image_is_lost_that_both_ends_keep(graph: Any, tiny_model: Path) -> None:
    """40 reliable images at 10 Hz, though the node stands still for a second.

    Where either end keeps fewer than come meanwhile, it loses some: so it is defined.
    """
    parameters = {"model": str(tiny_model), "threads": 1, "image_depth": FRAMES}
    with start_segmenter_process(parameters) as process:
        camera = Camera(graph, "reliable", FRAMES)
        camera.meet(large_image())
        stalling = threading.Thread(target=stall, args=(process.pid,))
        stalling.start()
        camera.run(large_image(), FRAMES, PERIOD_S)
        stalling.join()
        camera.wait_for(FRAMES)
        assert camera.received() == FRAMES
        process.check_running()


def stall(pid: int) -> None:
    """Stop a process after the first images, and let it go on a second later."""
    time.sleep(10 * PERIOD_S)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(pid, signal.SIGCONT)


def test_large_best_effort_images_arrive(graph: Any, tiny_model: Path) -> None:
    """At 10 Hz with the shared memory profile; with default transports none ever does."""
    if profile_variable() not in os.environ:
        pytest.skip("/dev/shm is too small for the profile: --shm-size=512m for a container")
    parameters = {"model": str(tiny_model), "threads": 1, "image_reliability": "best_effort"}
    with start_segmenter_process(parameters) as process:
        camera = Camera(graph, "best_effort", 5)
        camera.meet(large_image())
        camera.run(large_image(), FRAMES, PERIOD_S)
        received = camera.received()
        process.check_running()
    # A busy machine may lose some.
    assert FRAMES // 4 <= received <= FRAMES
