# SPDX-License-Identifier: Apache-2.0
"""Events of publishers, at moments at which DDS seldom sends them."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import QoSPolicyKind

from armseg_ros.msg import InstanceArray
from armseg_ros.ros.outputs import Output
from armseg_ros.ros.qos import RESULT_QOS


def test_subscriber_is_refused_while_the_publisher_is_being_made() -> None:
    node = MagicMock(slow=ReentrantCallbackGroup())
    node.resolve_topic_name.return_value = "/segmenter/instances"

    def create(*_: Any, event_callbacks: Any, **__: Any) -> MagicMock:
        event = MagicMock(last_policy_kind=QoSPolicyKind.DURABILITY)
        event_callbacks.incompatible_qos(event)
        return MagicMock(topic_name="/segmenter/instances")

    node.create_lifecycle_publisher.side_effect = create
    Output(node, InstanceArray, "~/instances", RESULT_QOS)
    [said] = node.get_logger().warning.call_args.args
    assert "qos_overrides./segmenter/instances.publisher.durability" in said


def test_events_of_an_output_are_handled_one_after_another() -> None:
    node = MagicMock(slow=ReentrantCallbackGroup())
    Output(node, InstanceArray, "~/instances", RESULT_QOS)
    group = node.create_lifecycle_publisher.call_args.kwargs["callback_group"]
    first, second = MagicMock(), MagicMock()
    for event in (first, second):
        group.add_entity(event)
    assert group.beginning_execution(first)
    assert not group.can_execute(second)
