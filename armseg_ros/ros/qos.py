# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the topics."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITIES = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}

RESULT_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
PICTURE_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)  # megabytes each
LATCHED_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def image_qos(reliability: str, depth: int) -> QoSProfile:
    """Make the profile of an image topic.

    Args:
        reliability: ``reliable`` or ``best_effort``.
        depth: Frames that the middleware holds; a depth of 1 loses fragments of large frames.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=RELIABILITIES[reliability]
    )
