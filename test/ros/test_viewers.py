# SPDX-License-Identifier: Apache-2.0
"""What the configurations of RViz and Foxglove show is published by the nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rclpy.parameter import Parameter

from armseg_ros.ros import optional_outputs
from armseg_ros.ros.evaluator_node import EvaluatorNode
from armseg_ros.ros.segmenter_node import SegmenterNode

CONFIG = Path(__file__).parents[2] / "config"


def values_of(tree: Any, key: str) -> Iterator[Any]:
    """Find all values of a key, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(value, key)


@pytest.fixture
def published(graph: Any, tiny_model: Path) -> set[str]:
    """Topics of both nodes, and of a camera."""
    overrides = [
        Parameter("model", value=str(tiny_model)),
        Parameter("backend", value="onnxruntime"),
    ]
    graph.add(SegmenterNode(context=graph.context, parameter_overrides=overrides))
    node = graph.add(EvaluatorNode(context=graph.context))
    graph.spin_until(lambda: node.count_publishers("/segmenter/instances"))
    names = {name for name, _ in node.get_topic_names_and_types()}
    if optional_outputs.ImageAnnotations is None:
        names.add("/segmenter/annotations")  # only where foxglove_msgs is installed
    return names | {"/image"}


@pytest.mark.parametrize(("name", "count"), [("segmenter.rviz", 3), ("evaluator.rviz", 3)])
def test_rviz_shows_topics_of_the_nodes(name: str, count: int, published: set[str]) -> None:
    tree = yaml.safe_load((CONFIG / name).read_text())
    displays = tree["Visualization Manager"]["Displays"]
    topics = [display["Topic"]["Value"] for display in displays]
    assert len(topics) == count
    assert set(topics) <= published
    for display in displays:
        assert display["Class"] == "rviz_default_plugins/Image"
        assert display["Name"] in tree["Window Geometry"]


def test_foxglove_shows_topics_of_the_node(published: set[str]) -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())

    def panels(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            yield from panels(part["first"])
            yield from panels(part["second"])

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])
    topics = {*values_of(layout, "imageTopic"), *values_of(layout, "topicToRender")}
    for drawn in values_of(layout, "annotations"):
        topics |= set(drawn)
    for path in [*values_of(layout, "topicPath"), *values_of(layout, "value")]:
        topics.add(path.split(".")[0])
    assert len(topics) == 7
    assert topics <= published
