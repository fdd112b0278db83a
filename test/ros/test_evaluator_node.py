# SPDX-License-Identifier: Apache-2.0
"""The evaluator as a process of its own, alone and with a real segmenter node."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import totes

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from sensor_msgs.msg import Image

from armseg_ros.backends.base import open_backend
from armseg_ros.cli.main import main as command
from armseg_ros.data.bag import read_bag, write_bag_from_coco
from armseg_ros.evaluate.answer import InProcess
from armseg_ros.evaluate.live import connected_to_node
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.msg import InstanceArray
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_process import SegmenterProcess, start_segmenter_process

COMMAND = "import sys; from armseg_ros.ros.process import run_evaluator; sys.exit(run_evaluator())"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    totes.write_coco(folder / "coco", count=5)
    write_bag_from_coco(folder / "coco", "test", folder / "bag")
    return folder / "bag"


class Evaluator:
    """A running evaluator process."""

    def __init__(self, parameters: dict[str, Any], log: Any, namespace: str) -> None:
        arguments = [f"{name}:={json.dumps(value)}" for name, value in parameters.items()]
        flags = [part for argument in arguments for part in ("-p", argument)]
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--ros-args", "-r", f"__ns:={namespace}", *flags],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def wait(self, timeout_s: float = 60.0) -> int:
        return self.process.wait(timeout_s)

    def said(self) -> str:
        self._log.seek(0)
        return str(self._log.read().decode())


@contextlib.contextmanager
def started(namespace: str = "/", **parameters: Any) -> Iterator[Evaluator]:
    with tempfile.TemporaryFile() as log:
        evaluator = Evaluator(parameters, log, namespace)
        try:
            yield evaluator
        finally:
            evaluator.process.kill()
            evaluator.process.wait()


def summary_of(run: Path) -> dict[str, Any]:
    out: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return out


def test_it_shows_what_it_does_and_ends(
    graph: Any, bag: Path, tiny_model: Path, tmp_path: Path
) -> None:
    seen: dict[str, list[Any]] = {}
    node = graph.add(rclpy.create_node("watcher", context=graph.context))

    def watch(topic: str, kind: Any, qos: Any) -> None:
        seen[topic] = []
        node.create_subscription(kind, f"/evaluator/{topic}", seen[topic].append, qos)

    for topic in ("predictions", "ground_truth"):
        watch(topic, InstanceArray, RESULT_QOS)
    for topic in ("image", "overlay", "ground_truth_overlay"):
        watch(topic, Image, PICTURE_QOS)
    run = tmp_path / "run"
    wanted = {"source": str(bag), "run": str(run), "model": str(tiny_model), "rate_hz": 2.0}
    with started(**wanted) as evaluator:
        graph.spin_until(lambda: evaluator.process.poll() is not None, 60)
        said = evaluator.said()
        assert evaluator.wait() == 0, said
    assert "is complete" in said
    assert "Object mask" in said
    assert summary_of(run)["frames"]["answered"] == 5
    for topic, messages in seen.items():  # discovery may cost the first ones
        assert 2 <= len(messages) <= 5, topic
    last = seen["ground_truth"][-1]
    assert last.sample_id == "cell_0/004.jpg"
    assert len(last.instances) == 5
    assert seen["predictions"][-1].header == last.header
    assert (seen["image"][-1].height, seen["image"][-1].width) == totes.HW
    assert seen["overlay"][-1].height == totes.HW[0] // 2


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Iterator[SegmenterProcess]:
    parameters = {
        "model": str(tiny_model),
        "backend": "onnxruntime",
        "score_threshold": 0.001,
        "iou_threshold": 0.6,
    }
    with start_segmenter_process(parameters) as process:
        yield process


@pytest.mark.usefixtures("segmenter")
def test_through_a_node_or_within_the_process_is_the_same(
    bag: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with started(source=str(bag), run=str(tmp_path / "live"), live=True) as evaluator:
        code = evaluator.wait()
        assert code == 0, evaluator.said()
    source = read_bag(bag)
    backend = open_backend(tiny_model, threads=1)
    config = EvaluateConfig()
    within = evaluate(source, InProcess(backend, config.segmenter()), config, tmp_path / "within")
    live = summary_of(tmp_path / "live")
    assert live["frames"]["answered"] == 5
    assert live["settings"]["mode"] == "live"
    assert live["model"]["model_id"] == backend.model.model_id
    assert live["accuracy"] == within["accuracy"]
    assert live["data"] == within["data"]
    assert live["times"]["latency_ms"]["round_trip"]["p50"] > 0
    (reason,) = live["flags"]["reasons"]  # what the node said on its topic
    assert "fit it again" in reason
    assert live["flags"]["verdicts"]["unknown"] == 5
    assert live["splits"]["seed"] == within["splits"]["seed"]
    first, second = (tmp_path / name / "predictions.json" for name in ("live", "within"))
    assert first.read_bytes() == second.read_bytes()


def test_command_reaches_a_node_in_a_namespace(bag: Path, tiny_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["evaluate", str(bag), "-o", str(run), "--live", "--timeout", "30"]
    with start_segmenter_process({"model": str(tiny_model)}, namespace="/line_1"):
        assert command([*arguments, "--namespace", "/line_1"]) == 0
    assert summary_of(run)["frames"]["answered"] == 5


def test_command_refuses_a_wrong_namespace(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(bag), "-o", str(tmp_path / "run"), "--live"]
    assert command([*arguments, "--namespace", "/line 1"]) == 2
    assert "'/line 1'" in capsys.readouterr().err


def test_a_node_that_dies_halfway(bag: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Its pictures are dropped with a reason; what it answered before stays."""
    with start_segmenter_process({"model": str(tiny_model)}, namespace="/dying") as process:
        answered: list[str] = []

        def observe(frame: Any, *_: Any) -> None:
            answered.append(frame.sample_id)
            if len(answered) == 2:
                process.stop()

        with connected_to_node("raw", 0.5, namespace="/dying") as node:
            summary = evaluate(
                read_bag(bag), node, EvaluateConfig(), tmp_path / "run", observe=observe
            )
    assert summary["frames"]["answered"] == 2
    assert summary["frames"]["dropped"] == 3
    assert all(u["reason"] for u in summary["frames"]["unanswered"])
    assert summary["accuracy"]["pictures"] == 2


def test_a_signal_ends_it_and_keeps_what_is_there(
    bag: Path, tiny_model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    wanted = {"source": str(bag), "run": str(run), "model": str(tiny_model), "rate_hz": 0.01}
    with started(**wanted) as evaluator:
        end = time.monotonic() + 60
        while not list(run.glob("overlays/*")):
            assert time.monotonic() < end, evaluator.said()
            time.sleep(0.05)
        evaluator.process.send_signal(signal.SIGINT)
        code = evaluator.wait()
        said = evaluator.said()
    assert code == 0, said
    assert "Traceback" not in said
    summary = summary_of(run)
    assert summary["complete"] is False
    assert 1 <= summary["frames"]["answered"] < 5


def test_a_signal_ends_the_wait_for_an_answer(bag: Path, tmp_path: Path, graph: Any) -> None:
    """Of a segmenter that is there but never answers; what it answered before would be kept."""
    node = graph.add(rclpy.create_node("silent", context=graph.context, namespace="/silent"))
    asked: list[Any] = []
    node.create_subscription(Image, "image", asked.append, image_qos("reliable", 5))
    node.create_publisher(InstanceArray, "segmenter/instances", RESULT_QOS)
    run = tmp_path / "run"
    wanted = {"source": str(bag), "run": str(run), "live": True, "timeout_s": 300.0}
    with started("/silent", **wanted) as evaluator:
        graph.spin_until(lambda: asked or evaluator.process.poll() is not None, 60)
        evaluator.process.send_signal(signal.SIGINT)
        code = evaluator.wait()
        said = evaluator.said()
    assert code == 0, said
    assert "stopped while waiting for a segmenter" in said
    assert summary_of(run)["complete"] is False


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"run": "x"}, "parameter source is empty: bag, COCO folder"),
        ({"limit": "many"}, "limit"),
    ],
)
def test_mistakes_are_one_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with started(**wrong) as evaluator:
        code = evaluator.wait()
        said = evaluator.said()
    assert code == 2, said
    assert sentence in said
    assert "Traceback" not in said
