# SPDX-License-Identifier: Apache-2.0
"""Class names as ``vision_msgs/LabelInfo``, where that package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # not among the wheels on PyPI, and optional in an apt installation
    LabelInfo = VisionClass = None


def publish_label_info(node: Any, class_names: Sequence[str], threshold: float) -> Any | None:
    """Publish the class names once, for whoever comes later too.

    Args:
        node: The node; the topic is its ``~/label_info``.
        class_names: Names by class id.
        threshold: Lowest score of an instance, 0..1.

    Returns:
        The publisher, which must be kept; None where vision_msgs is not installed.
    """
    if LabelInfo is None:
        return None
    from armseg_ros.ros.qos import LATCHED_QOS

    message = LabelInfo(threshold=threshold)
    message.header.stamp = node.get_clock().now().to_msg()
    message.class_map = [
        VisionClass(class_id=index, class_name=name) for index, name in enumerate(class_names)
    ]
    publisher = node.create_publisher(LabelInfo, "~/label_info", LATCHED_QOS)
    publisher.publish(message)
    return publisher
