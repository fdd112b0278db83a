# SPDX-License-Identifier: Apache-2.0
"""Flags of the node: messages, thresholds that change live, a detector it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import write_network
from quality.made_up import always

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.config import QualityConfig
from armseg_ros.errors import DataError
from armseg_ros.msg import InstanceArray, SegmentationQuality
from armseg_ros.msg import SuspectPair as SuspectPairMessage
from armseg_ros.quality.draw import UNDER_COLOR
from armseg_ros.quality.result import PairKind, Quality, SuspectPair, Verdict
from armseg_ros.ros import messages
from armseg_ros.ros.images import frame_from_message
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.quality_messages import (
    flag_instances,
    quality_from_messages,
    quality_to_message,
)
from armseg_ros.ros.segmenter_node import SegmenterNode

PICTURE = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)


class Rig:
    """A segmenter node, a camera, and somebody who reads the flags."""

    def __init__(self, graph: Any, model: Path, flags: Path | None = None) -> None:
        values = {"model": str(model), "threads": 1, "backend": "onnxruntime"}
        if flags is not None:
            values["quality_model"] = str(flags)
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.graph = graph
        graph.add(SegmenterNode(context=graph.context, parameter_overrides=overrides))
        self.user = graph.add(rclpy.create_node("user", context=graph.context))
        self.camera = self.user.create_publisher(Image, "image", image_qos("reliable", 10))
        self.answers = self.listen(InstanceArray, "segmenter/instances", RESULT_QOS)
        self.flags = self.listen(SegmentationQuality, "segmenter/quality", RESULT_QOS)
        self.diagnostics = self.listen(DiagnosticArray, "/diagnostics", RESULT_QOS)
        self.sent = 0
        graph.spin_until(self.camera.get_subscription_count)
        graph.spin_until(lambda: self.user.count_publishers("segmenter/quality"))

    def listen(self, kind: Any, topic: str, qos: Any) -> list[Any]:
        found: list[Any] = []
        self.user.create_subscription(kind, topic, found.append, qos)
        return found

    def ask(self) -> tuple[Any, Any]:
        """Send an image; return its instances and flags."""
        self.sent += 1
        header = Header(stamp=messages.time_message(self.sent * 1_000_000), frame_id="camera")
        self.camera.publish(messages.image_to_message(PICTURE, "bgr8", header))

        def both() -> Any:
            found = [
                next((m for m in heard if m.header == header), None)
                for heard in (self.answers, self.flags)
            ]
            return None if None in found else found

        instances, quality = self.graph.spin_until(both)
        return instances, quality

    def set(self, name: str, value: float) -> None:
        client = self.user.create_client(SetParameters, "segmenter/set_parameters")
        self.graph.spin_until(client.service_is_ready)
        parameter = Parameter(name, value=value).to_parameter_msg()
        future = client.call_async(SetParameters.Request(parameters=[parameter]))
        self.graph.spin_until(future.done)
        assert future.result().results[0].successful


@pytest.fixture
def fitted(tiny_model: Path, tmp_path: Path) -> Path:
    """A quality model of the tiny network that finds 0.75 merges in everything."""
    always(file_sha256(tiny_model), over=0.25, under=0.75).save(tmp_path / "flags.json")
    return tmp_path / "flags.json"


def test_flags_of_a_known_detector(graph: Any, tiny_model: Path, fitted: Path) -> None:
    rig = Rig(graph, tiny_model, fitted)
    overlays = rig.listen(Image, "segmenter/overlay", PICTURE_QOS)
    graph.spin_until(lambda: rig.user.count_publishers("segmenter/overlay"))
    instances, quality = rig.ask()
    (instance,) = instances.instances
    assert (instance.p_over, instance.p_under) == (0.25, 0.75)
    assert instances.times.quality > 0
    assert quality.verdict == SegmentationQuality.LIKELY_UNDER
    assert (quality.p_over, quality.p_under) == (0.25, 0.75)
    assert list(quality.under_ids) == [1]
    assert list(quality.pairs) == list(quality.reasons) == []
    assert (quality.over_threshold, quality.under_threshold) == (0.5, 0.5)
    assert np.isnan(quality.tote_coverage)

    def marked() -> bool:
        rig.ask()
        return bool(overlays) and bool(
            (frame_from_message(overlays[-1], "overlay").image == UNDER_COLOR).all(axis=2).any()
        )

    graph.spin_until(marked)
    rig.set("under_threshold", 0.875)
    rig.set("over_threshold", 0.125)
    _, quality = rig.ask()
    assert quality.verdict == SegmentationQuality.LIKELY_OVER
    assert (quality.over_threshold, quality.under_threshold) == (0.125, 0.875)

    def told() -> Any:
        values = {pair.key: pair.value for pair in rig.diagnostics[-1].status[0].values}
        return values if values.get("verdict likely_over (%)", "nan") not in ("nan", "0") else None

    values = graph.spin_until(lambda: told() if rig.diagnostics else None)
    shares = [int(share) for name, share in values.items() if name.startswith("verdict")]
    assert len(shares) == 5
    assert 98 <= sum(shares) <= 102


def test_an_unknown_detector_gets_no_probability(graph: Any, tiny_model: Path) -> None:
    instances, quality = Rig(graph, tiny_model).ask()
    assert np.isnan([instances.instances[0].p_over, instances.instances[0].p_under]).all()
    assert np.isnan([quality.p_over, quality.p_under]).all()
    assert quality.verdict == SegmentationQuality.UNKNOWN
    (reason,) = quality.reasons
    assert f"not to {file_sha256(tiny_model)[:12]}; fit it again" in reason


def test_prototypes_that_are_not_finite(graph: Any, tmp_path: Path) -> None:
    broken = write_network(tmp_path / "broken.onnx", prototype=float("nan"))
    always(file_sha256(broken)).save(tmp_path / "flags.json")
    instances, quality = Rig(graph, broken, tmp_path / "flags.json").ask()
    assert len(instances.instances) == 1
    assert instances.instances[0].mask.area == 0
    assert quality.verdict == SegmentationQuality.UNKNOWN
    assert "not finite" in quality.reasons[0]


def test_messages_and_back() -> None:
    flags = np.array([0.5, np.nan, 0.25], np.float32)
    quality = Quality(
        p_over=flags,
        p_under=flags[::-1].copy(),
        partner=np.array([2, -1, 0], np.int32),
        frame_p_over=0.5,
        frame_p_under=0.75,
        verdict=Verdict.BOTH,
        pairs=(SuspectPair(0, 2, PairKind.DUPLICATE, 0.5),),
        under_indices=(2,),
        tote_coverage=0.25,
        thresholds=QualityConfig(0.4, 0.6),
        reasons=("pair: too few",),
    )
    sent = InstanceArray(instances=[messages.Instance() for _ in range(3)])
    flag_instances(sent, quality)
    back = quality_from_messages(sent, quality_to_message(quality, Header()))
    np.testing.assert_array_equal(back.p_over, quality.p_over)
    np.testing.assert_array_equal(back.p_under, quality.p_under)
    np.testing.assert_array_equal(back.partner, quality.partner)
    for name in ("frame_p_over", "frame_p_under", "verdict", "pairs", "under_indices",
                 "tote_coverage", "thresholds", "reasons"):  # fmt: skip
        assert getattr(back, name) == getattr(quality, name)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"under_ids": [4]}, "instance 4 is named, but there are 3"),
        ({"pairs": [SuspectPairMessage(id_a=0, id_b=1)]}, "instance 0 is named"),
        ({"pairs": [SuspectPairMessage(id_a=1, id_b=2, kind=9)]}, "9 is not a valid PairKind"),
        ({"verdict": 7}, "7 is not a valid Verdict"),
        ({"over_threshold": 2.0}, "over_threshold is 2"),
    ],
)
def test_flags_that_mean_nothing(changes: dict[str, Any], told: str) -> None:
    sent = InstanceArray(instances=[messages.Instance() for _ in range(3)])
    with pytest.raises(DataError, match=told):
        quality_from_messages(sent, SegmentationQuality(**changes))
