# SPDX-License-Identifier: Apache-2.0
"""What happens in a cell: nodes are killed, cameras come and go, clocks jump."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import totes

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.msg import InstanceArray
from armseg_ros.ros import messages
from armseg_ros.ros.live_client import LiveSegmenterClient, NoAnswerError
from armseg_ros.ros.qos import RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_node import SegmenterNode
from armseg_ros.ros.segmenter_process import start_segmenter_process

PICTURE = np.random.default_rng(4).integers(0, 256, (96, 128, 3), np.uint8)
EVALUATOR = (
    "import sys; from armseg_ros.ros.process import run_evaluator; sys.exit(run_evaluator())"
)
PICTURES = 16
SECOND = 1_000_000_000


def wait_until(done: Callable[[], Any], timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "nothing came in time"
        time.sleep(0.05)


def test_the_segmenter_is_killed_during_an_evaluation(tmp_path: Path, tiny_model: Path) -> None:
    """The evaluator says so, waits, goes on with its successor and counts what was lost."""
    totes.write_coco(tmp_path / "coco", count=PICTURES)
    write_bag_from_coco(tmp_path / "coco", "test", tmp_path / "bag")
    run = tmp_path / "run"
    parameters = {"source": str(tmp_path / "bag"), "run": str(run), "live": True, "timeout_s": 4.0,
                  "rate_hz": 4.0, "overlays": PICTURES}  # fmt: skip
    flags = [f for name, v in parameters.items() for f in ("-p", f"{name}:={json.dumps(v)}")]
    model = {"model": str(tiny_model), "threads": 1, "backend": "onnxruntime"}
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        first = stack.enter_context(start_segmenter_process(model, namespace="/killed"))
        evaluator = subprocess.Popen(
            [sys.executable, "-c", EVALUATOR, "--ros-args", "-r", "__ns:=/killed", *flags],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(evaluator.wait)
        stack.callback(evaluator.kill)
        wait_until(lambda: len(list(run.glob("overlays/*.jpg"))) >= 2)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(60)

        def said() -> str:
            log.seek(0)
            return log.read()

        wait_until(lambda: " dropped: " in said())
        second = stack.enter_context(start_segmenter_process(model, namespace="/killed"))
        assert evaluator.wait(120) == 0, said()
        second.check_running()
        assert "Traceback" not in said()
    frames = json.loads((run / "summary.json").read_text())["frames"]
    assert frames["answered"] + frames["dropped"] == frames["total"] == PICTURES
    assert frames["failed"] == 0
    assert frames["answered"] >= 3
    assert frames["dropped"] >= 1
    assert all(lost["reason"] for lost in frames["unanswered"])
    last = sorted(path.name for path in run.glob("overlays/*.jpg"))[-1]
    assert last.startswith(f"{PICTURES:05d}_"), "the successor was not asked"


def test_a_camera_is_restarted(tiny_model: Path) -> None:
    """Another process under the same topic is the same camera, also where the first one died."""
    camera = (
        "import sys; import numpy as np\n"
        "from armseg_ros.ros.live_client import LiveSegmenterClient\n"
        "with LiveSegmenterClient(namespace='/again') as client:\n"
        "    client.wait_for_segmenter(60)\n"
        "    print(len(client.ask_image(np.zeros((96, 128, 3), np.uint8), 60).detections),"
        " flush=True)\n"
        "    sys.stdin.read()\n"
    )
    model = {"model": str(tiny_model), "threads": 1, "backend": "onnxruntime"}
    with start_segmenter_process(model, namespace="/again") as node:
        for killed in (True, False):
            process = subprocess.Popen(
                [sys.executable, "-c", camera],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert process.stdout.readline() == "1\n"
            finally:
                if killed:
                    process.kill()
                process.communicate()
        with LiveSegmenterClient(namespace="/again") as client:
            client.wait_for_segmenter(60)
            assert len(client.ask_image(PICTURE, 60).detections) == 1
        node.check_running()
        assert "Traceback" not in node.log()


def test_a_lost_engine_ends_the_node(tiny_model: Path) -> None:
    """As after an error of CUDA: said once, exit code 1, so that launch starts it anew."""
    node = (
        "import sys\n"
        "from armseg_ros.errors import EngineLostError\n"
        "from armseg_ros.segmenter import Segmenter\n"
        "from armseg_ros.ros.process import run_segmenter\n"
        "def segment(self, frame):\n"
        "    raise EngineLostError('the GPU failed (700); restart this process')\n"
        "Segmenter.segment = segment\n"
        "sys.exit(run_segmenter(sys.argv[1:]))\n"
    )
    values = {"model": tiny_model, "backend": "onnxruntime", "threads": 1}
    options = [text for name, value in values.items() for text in ("-p", f"{name}:={value}")]
    process = subprocess.Popen(
        [sys.executable, "-c", node, "--ros-args", "-r", "__ns:=/lost", *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with LiveSegmenterClient(namespace="/lost") as client:
            client.wait_for_segmenter(60)
            with pytest.raises(NoAnswerError):
                client.ask_image(PICTURE, 5)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "FATAL" in said
    assert "the GPU failed (700); restart this process" in said
    assert "Traceback" not in said


class Cell:
    """Segmenters and cameras in one graph, each camera in a namespace of its own."""

    def __init__(self, graph: Any, model: Path, cameras: int, **parameters: Any) -> None:
        self.graph = graph
        values = {"model": str(model), "threads": 1, "backend": "onnxruntime"} | parameters
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.user = graph.add(rclpy.create_node("user", context=graph.context))
        self.said: list[Any] = []
        self.user.create_subscription(DiagnosticArray, "/diagnostics", self._hear, RESULT_QOS)
        self.answers: list[list[Any]] = []
        self.cameras: list[Any] = []
        for number in range(max(1, cameras)):
            namespace = f"/camera_{number}"
            graph.add(
                SegmenterNode(
                    context=graph.context, namespace=namespace, parameter_overrides=overrides
                )
            )
            if number < cameras:
                self._add_camera(namespace)

    def _add_camera(self, namespace: str) -> None:
        camera = self.user.create_publisher(Image, f"{namespace}/image", image_qos("reliable", 5))
        answers: list[Any] = []
        topic = f"{namespace}/segmenter/instances"
        self.user.create_subscription(InstanceArray, topic, answers.append, RESULT_QOS)
        self.graph.spin_until(camera.get_subscription_count, 60)
        self.graph.spin_until(lambda: self.user.count_publishers(topic), 60)
        self.cameras.append(camera)
        self.answers.append(answers)

    def _hear(self, message: DiagnosticArray) -> None:
        self.said += message.status

    def send(self, stamp_ns: int, number: int = 0) -> Header:
        header = Header(
            stamp=messages.time_message(stamp_ns), frame_id=f"camera_{number}_{stamp_ns}"
        )
        self.cameras[number].publish(messages.image_to_message(PICTURE, "bgr8", header))
        return header

    def answer_to(self, header: Header, number: int = 0) -> Any:
        return self.graph.spin_until(
            lambda: next((a for a in self.answers[number] if a.header == header), None), 60
        )

    def hear(self, text: str) -> Any:
        """Wait for a new status whose message holds ``text``."""
        self.said.clear()
        return self.graph.spin_until(
            lambda: next((status for status in self.said if text in status.message), None), 60
        )

    def count(self, key: str) -> int:
        """Return the next count of that name, in whichever status it comes."""
        self.said.clear()
        return int(
            self.graph.spin_until(
                lambda: next((p.value for s in self.said for p in s.values if p.key == key), None),
                60,
            )
        )


def test_no_camera_is_told_as_a_warning(graph: Any, tiny_model: Path) -> None:
    cell = Cell(graph, tiny_model, cameras=0)
    assert cell.hear("no image in the last").level == b"\x01"


def test_four_cameras_are_answered_each_by_its_own_node(graph: Any, tiny_model: Path) -> None:
    cell = Cell(graph, tiny_model, cameras=4)
    for round_number in range(1, 4):
        headers = [cell.send(round_number * SECOND, number) for number in range(4)]
        for number, header in enumerate(headers):
            assert len(cell.answer_to(header, number).instances) == 1
    assert [len(answers) for answers in cell.answers] == [3] * 4
    names = {f"/camera_{number}/segmenter" for number in range(4)}
    graph.spin_until(lambda: {s.name.partition(":")[0] for s in cell.said} == names, 60)


def test_four_cameras_on_one_topic_are_all_answered(graph: Any, tiny_model: Path) -> None:
    cell = Cell(graph, tiny_model, cameras=1)
    for _ in range(3):
        cell.cameras.append(
            cell.user.create_publisher(Image, "/camera_0/image", image_qos("reliable", 5))
        )
    graph.spin_until(lambda: all(camera.get_subscription_count() for camera in cell.cameras), 60)
    end = time.monotonic() + 0.5  # the node may learn of a camera after the camera of the node
    graph.spin_until(lambda: time.monotonic() > end)
    for number in range(4):
        assert len(cell.answer_to(cell.send(SECOND, number)).instances) == 1


def test_the_clock_jumps_back(graph: Any, tiny_model: Path) -> None:
    """A recording that is played again: /clock goes from 1000 s back to 10 s."""
    cell = Cell(graph, tiny_model, cameras=1, use_sim_time=True, max_age_ms=500.0)
    clock = cell.user.create_publisher(Clock, "/clock", 10)
    graph.spin_until(clock.get_subscription_count, 60)
    node = next(node for node in graph.executor.get_nodes() if node.get_name() == "segmenter")

    def set_clock(seconds: int) -> None:
        clock.publish(Clock(clock=messages.time_message(seconds * SECOND)))
        graph.spin_until(lambda: node.get_clock().now().nanoseconds == seconds * SECOND, 60)

    stale = "dropped, older than max_age_ms"
    for seconds in (1000, 10):
        set_clock(seconds)
        answer = cell.answer_to(cell.send(seconds * SECOND - SECOND // 10))
        assert answer.times.age_at_receive == pytest.approx(100, abs=1)
        before = cell.count(stale)
        cell.send((seconds - 5) * SECOND)
        graph.spin_until(lambda b=before: cell.count(stale) == b + 1, 60)
    future = cell.answer_to(cell.send(999 * SECOND))  # of before the jump; younger than young
    assert future.times.age_at_receive < 0
    assert cell.hear("answering")  # the clock stands still, /diagnostics does not
