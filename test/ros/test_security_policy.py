# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy allows what the nodes create, and little else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from armseg_ros.ros.evaluator_node import EvaluatorNode
from armseg_ros.ros.live_client import LiveSegmenterClient
from armseg_ros.ros.segmenter_node import SegmenterNode

POLICY = ET.parse(Path(__file__).parents[2] / "config" / "sros2_policy.xml")
BY_CHOICE = {  # with a parameter, an argument, or where optional messages are installed
    "/clock", "/image/compressed", "/segmenter/label_info", "/segmenter/detections",
    "/segmenter/annotations", "/parameter_events",
}  # fmt: skip


def allowed(node: str, kind: str, action: str) -> set[str]:
    profile = POLICY.find(f".//profile[@node='{node}']")
    assert profile is not None
    groups = [group for group in profile.findall(f"{kind}s") if group.get(action) == "ALLOW"]
    return {str(name.text) for group in groups for name in group.findall(kind)}


def created(asking: Any, node: str, what: str) -> set[str]:
    found = getattr(asking, f"get_{what}_names_and_types_by_node")(node, "/")
    return {name for name, _ in found}


def check(asking: Any, node: str) -> None:
    for what, kind, action in (
        ("publisher", "topic", "publish"),
        ("subscriber", "topic", "subscribe"),
        ("service", "service", "reply"),
        ("client", "service", "request"),
    ):
        needed, named = created(asking, node, what), allowed(node, kind, action)
        assert needed <= named, f"{node} is not allowed to {action} {needed - named}"
        assert named - needed <= BY_CHOICE, f"{node} needs no {action} of {named - needed}"


def test_segmenter(graph: Any, tiny_model: Path) -> None:
    overrides = [
        Parameter("model", value=str(tiny_model)),
        Parameter("backend", value="onnxruntime"),
        Parameter("autostart", value=False),
    ]
    node = graph.add(SegmenterNode(context=graph.context, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    check(node, "segmenter")


def test_evaluator(graph: Any) -> None:
    check(graph.add(EvaluatorNode(context=graph.context)), "evaluator")


def test_live_client() -> None:
    with LiveSegmenterClient() as client:
        check(client._node, "armseg_live_client")
