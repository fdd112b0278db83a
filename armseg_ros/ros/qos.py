# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the topics."""

from __future__ import annotations

from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

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


def copy_qos(profile: QoSProfile) -> QoSProfile:
    """Copy a profile: rclpy writes the overrides of a topic into the one that it is given."""
    return QoSProfile(
        history=profile.history,
        depth=profile.depth,
        reliability=profile.reliability,
        durability=profile.durability,
    )


def overridable() -> QoSOverridingOptions:
    """Let parameters such as ``qos_overrides.TOPIC.publisher.depth`` change a profile."""
    return QoSOverridingOptions(
        (
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def refused_policy(event: Any) -> str:
    """Name the policy that keeps two ends apart, such as ``reliability``."""
    return str(qos_policy_name_from_kind(event.last_policy_kind)).lower()
