# SPDX-License-Identifier: Apache-2.0
"""The node within this process: answers, drops, parameters, and input that is broken."""

from __future__ import annotations

import array
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from networks import FOUND

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from armseg_ros.backends.base import Backend, Choice, open_backend
from armseg_ros.errors import BackendError
from armseg_ros.msg import InstanceArray
from armseg_ros.ros import messages, outputs
from armseg_ros.ros.images import frame_from_message, stamp_ns
from armseg_ros.ros.loading import WARM_UPS, choose_by_parameters
from armseg_ros.ros.qos import LATCHED_QOS, PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_node import SegmenterNode

PICTURE = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)


class GatedBackend:
    """A network that waits for permission, and fails on request."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.model, self.close = backend.name, backend.model, backend.close
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.fail = False
        self.warm_ups = WARM_UPS

    def infer(self, tensor: Any) -> Any:
        if self.warm_ups:
            self.warm_ups -= 1
            return self._backend.infer(tensor)
        self.entered.set()
        assert self.gate.wait(30)
        if self.fail:
            raise BackendError("the engine is out of order")
        return self._backend.infer(tensor)


class Rig:
    """A segmenter node, a camera, and somebody who listens to it."""

    def __init__(self, graph: Any, model: Path, gated: bool = False, **parameters: Any) -> None:
        self.graph = graph
        values = {"model": str(model), "threads": 1, "backend": "onnxruntime"} | parameters
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.backend = GatedBackend(open_backend(model, threads=1)) if gated else None
        load = (lambda _: Choice(self.backend)) if gated else choose_by_parameters
        self.node = graph.add(
            SegmenterNode(load=load, context=graph.context, parameter_overrides=overrides)
        )
        self.user = graph.add(rclpy.create_node("user", context=graph.context))
        compressed = parameters.get("image_transport") == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        self.camera = self.user.create_publisher(kind, topic, image_qos("reliable", 10))
        self.answers = self.listen(InstanceArray, "segmenter/instances", RESULT_QOS)
        self.diagnostics = self.listen(DiagnosticArray, "/diagnostics", RESULT_QOS)
        self.stamp = 1_700_000_000_000_000_000
        graph.spin_until(self.camera.get_subscription_count)
        graph.spin_until(lambda: self.user.count_publishers("segmenter/instances"))

    def listen(self, kind: Any, topic: str, qos: Any) -> list[Any]:
        found: list[Any] = []
        self.user.create_subscription(kind, topic, found.append, qos)
        return found

    def header(self, stamp: int | None = None) -> Header:
        self.stamp += 1_000_000
        return Header(stamp=messages.time_message(stamp or self.stamp), frame_id="camera_1")

    def send(self, picture: np.ndarray = PICTURE, stamp: int | None = None) -> Image:
        message = messages.image_to_message(picture, "bgr8", self.header(stamp))
        self.camera.publish(message)
        return message

    def answer_to(self, message: Any) -> InstanceArray:
        return self.graph.spin_until(
            lambda: next((a for a in self.answers if a.header == message.header), None)
        )

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.user.create_client(kind, name)
        self.graph.spin_until(client.service_is_ready)
        future = client.call_async(request)
        self.graph.spin_until(future.done)
        return future.result()

    def set(self, name: str, value: Any) -> Any:
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, "segmenter/set_parameters", request).results[0]

    def diagnostic(self, done: Callable[[dict[str, str]], bool]) -> tuple[Any, dict[str, str]]:
        def look() -> Any:
            for message in self.diagnostics:
                values = {pair.key: pair.value for pair in message.status[0].values}
                if done(values):
                    return message.status[0], values
            return None

        return self.graph.spin_until(look)


def test_answer_has_header_instances_and_times(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    sent = rig.send()
    answer = rig.answer_to(sent)
    assert (answer.image_height, answer.image_width) == (128, 128)
    assert answer.backend == "onnxruntime-cpu"
    assert answer.model_id.startswith("tiny@")
    assert answer.sample_id == ""
    [instance] = answer.instances
    assert (instance.id, instance.class_id) == (1, 0)
    assert instance.score == pytest.approx(FOUND["score"])
    assert (instance.x_min, instance.y_min, instance.x_max, instance.y_max) == (48, 36, 80, 60)
    assert instance.mask.area == 32 * 24
    times = answer.times
    stages = (times.decode, times.preprocess, times.inference, times.postprocess)
    assert all(stage >= 0 for stage in stages)
    assert times.total >= sum(stages)
    assert times.age_at_receive > 1e9  # the stamp is of 2023
    assert times.dropped_since_last == 0


def test_image_without_stamp_has_no_age(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    message = messages.image_to_message(PICTURE, "bgr8", Header(frame_id="unstamped"))
    rig.camera.publish(message)
    assert np.isnan(rig.answer_to(message).times.age_at_receive)


def test_compressed_input(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model, image_transport="compressed")
    encoded = cv2.imencode(".jpg", PICTURE)[1].tobytes()
    message = messages.encoded_to_message(encoded, "jpeg", rig.header())
    rig.camera.publish(message)
    assert len(rig.answer_to(message).instances) == 1


def test_waiting_image_is_replaced_and_counted(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model, gated=True)
    first = rig.send()
    graph.spin_until(rig.backend.entered.is_set)
    later = [rig.send() for _ in range(4)]
    graph.spin_until(lambda: rig.node._statistics.snapshot().received == 5)
    rig.backend.gate.set()
    assert rig.answer_to(later[-1]).times.dropped_since_last == 3
    assert [a.header for a in rig.answers] == [first.header, later[-1].header]
    assert rig.answers[0].times.dropped_since_last == 0
    _, values = rig.diagnostic(lambda v: v["images answered"] == "2")
    assert values["images received"] == "5"
    assert values["dropped, replaced by a newer one"] == "3"


def test_old_image_is_dropped(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model, max_age_ms=30_000.0)
    rig.send()
    fresh = rig.send(stamp=time.time_ns())
    assert rig.answer_to(fresh).times.dropped_since_last <= 1
    _, values = rig.diagnostic(lambda v: v["images answered"] == "1")
    dropped = [
        values[f"dropped, {why}"] for why in ("older than max_age_ms", "replaced by a newer one")
    ]
    assert sorted(dropped) == ["0", "1"]


def test_broken_images_are_counted_and_the_next_one_answered(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    broken = [
        {"encoding": "rgb565"},
        {"step": 10},
        {"data": array.array("B", bytes(7))},
        {"height": 0, "width": 0},
    ]
    for count, changes in enumerate(broken, 1):
        message = messages.image_to_message(PICTURE, "bgr8", rig.header())
        for name, value in changes.items():
            setattr(message, name, value)
        rig.camera.publish(message)
        graph.spin_until(
            lambda n=count: rig.node._statistics.snapshot().dropped["not readable"] == n
        )
    assert rig.answer_to(rig.send()).times.dropped_since_last == len(broken)
    status, values = rig.diagnostic(lambda v: v["images answered"] == "1")
    assert values["dropped, not readable"] == "4"
    assert "0x0" in values["last error"]
    assert "/image" in values["last error"]
    assert status.level == b"\x01"


def test_failing_network_does_not_end_the_node(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model, gated=True)
    rig.backend.gate.set()
    rig.backend.fail = True
    rig.send()
    status, _ = rig.diagnostic(lambda v: v["dropped, failed in the network"] == "1")
    assert status.level == b"\x02"
    assert status.message == "the engine is out of order"
    rig.backend.fail = False
    assert len(rig.answer_to(rig.send()).instances) == 1


def test_pictures_are_drawn_only_for_subscribers(
    graph: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    for name in ("draw_overlay", "paint_labels"):
        real = getattr(outputs, name)
        monkeypatch.setattr(outputs, name, lambda *a, n=name, f=real: drawn.append(n) or f(*a))
    rig = Rig(graph, tiny_model)
    rig.answer_to(rig.send())
    assert drawn == []
    labels = rig.listen(Image, "segmenter/label_image", PICTURE_QOS)
    overlays = rig.listen(Image, "segmenter/overlay", PICTURE_QOS)
    made = rig.node._outputs
    graph.spin_until(lambda: made.label_image.watched and made.overlay.watched)
    sent = rig.send()
    graph.spin_until(lambda: labels and overlays)
    assert drawn == ["paint_labels", "draw_overlay"]
    assert labels[0].header == overlays[0].header == sent.header
    pixels = np.frombuffer(labels[0].data, np.uint8).reshape(128, 128)
    assert labels[0].encoding == "mono8"
    assert pixels[36:60, 48:80].min() == 1
    assert np.count_nonzero(pixels) == 32 * 24
    assert frame_from_message(overlays[0], "overlay").hw == (64, 64)


def test_threshold_changes_live(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    assert len(rig.answer_to(rig.send()).instances) == 1
    assert rig.set("score_threshold", 0.95).successful
    assert len(rig.answer_to(rig.send()).instances) == 0
    assert rig.set("score_threshold", 0.5).successful
    assert rig.set("class_ids", [1]).successful
    assert len(rig.answer_to(rig.send()).instances) == 0
    assert rig.set("class_ids", [-1]).successful
    assert len(rig.answer_to(rig.send()).instances) == 1


def test_wrong_values_are_refused_with_their_range(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    refusals = {
        ("score_threshold", 1.5): r"score_threshold.*0\.0.*1\.0",
        ("max_detections", 0): r"max_detections.*1.*1000",
        ("class_ids", ()): "",
        ("overlay_scale", 0.0): r"overlay_scale.*0\.05.*1\.0",
        ("score_threshold", "high"): "",
        ("image_depth", 3): "read-only|read only",
    }
    for (name, value), reason in refusals.items():
        result = rig.set(name, list(value) if isinstance(value, tuple) else value)
        assert not result.successful, name
        assert re.search(reason, result.reason), result.reason
    assert not rig.set("class_ids", [-5]).successful
    assert len(rig.answer_to(rig.send()).instances) == 1


def test_parameters_are_described(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    request = DescribeParameters.Request(names=["score_threshold"])
    [found] = rig.call(DescribeParameters, "segmenter/describe_parameters", request).descriptors
    assert found.description == "lowest score of an instance"
    assert found.floating_point_range[0].to_value == 1.0


def test_enable_switches_off_and_on(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    assert rig.call(SetBool, "segmenter/enable", SetBool.Request(data=False)).success
    graph.spin_until(lambda: not rig.camera.get_subscription_count())
    rig.diagnostics.clear()
    status, _ = rig.diagnostic(lambda _: True)
    assert status.message == "switched off by ~/enable"
    assert rig.call(SetBool, "segmenter/enable", SetBool.Request(data=True)).success
    graph.spin_until(rig.camera.get_subscription_count)
    assert len(rig.answer_to(rig.send()).instances) == 1


def test_camera_that_offers_best_effort_is_named_as_incompatible(
    graph: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.Event()
    real = SegmenterNode._on_incompatible
    monkeypatch.setattr(
        SegmenterNode, "_on_incompatible", lambda self, event: (real(self, event), seen.set())
    )
    rig = Rig(graph, tiny_model)
    rig.user.create_publisher(Image, "image", image_qos("best_effort", 1))
    graph.spin_until(seen.is_set)


def test_label_info_where_vision_msgs_is_installed(
    graph: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from armseg_ros.ros import label_info

    if label_info.LabelInfo is not None:
        rig = Rig(graph, tiny_model)
        found = rig.listen(label_info.LabelInfo, "segmenter/label_info", LATCHED_QOS)
        graph.spin_until(lambda: found)
        names = [entry.class_name for entry in found[0].class_map]
        assert names == ["Object", "Tote"]
    else:
        rig = Rig(graph, tiny_model)
        assert rig.node._outputs._label_info is None


def test_stamps_survive(graph: Any, tiny_model: Path) -> None:
    rig = Rig(graph, tiny_model)
    stamp = 1_712_345_678_987_654_321
    answer = rig.answer_to(rig.send(stamp=stamp))
    assert stamp_ns(answer.header.stamp) == stamp
    assert answer.header.frame_id == "camera_1"


def test_auto_says_what_it_took_and_why_not_the_others(
    graph: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    rig = Rig(graph, tiny_model, backend="auto")
    for _ in range(2):
        assert rig.answer_to(rig.send()).backend == "onnxruntime-cpu"
    _, values = rig.diagnostic(lambda v: v["images answered"] == "2")
    assert values["backend"] == "onnxruntime-cpu"
    reasons = values["better backends that do not work"]
    assert reasons.startswith("tensorrt: ")
    assert "openvino: OpenVINO cannot be imported" in reasons
    log = capfd.readouterr().err
    assert log.count("not openvino: OpenVINO cannot be imported") == 1
    assert "on onnxruntime-cpu; not tensorrt: " in log
