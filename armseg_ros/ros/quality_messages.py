# SPDX-License-Identifier: Apache-2.0
"""Flags to messages and back; indices into the detections become ``Instance.id``, from 1."""

from __future__ import annotations

import array
from typing import Any

import numpy as np

from armseg_ros.config import QualityConfig
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.msg import InstanceArray, SegmentationQuality
from armseg_ros.msg import SuspectPair as SuspectPairMessage
from armseg_ros.quality.result import PairKind, Quality, SuspectPair, Verdict


def quality_to_message(quality: Quality, header: Any) -> SegmentationQuality:
    """Make the message about one image."""
    return SegmentationQuality(
        header=header,
        verdict=int(quality.verdict),
        p_over=quality.frame_p_over,
        p_under=quality.frame_p_under,
        pairs=[
            SuspectPairMessage(
                id_a=pair.first + 1,
                id_b=pair.second + 1,
                kind=int(pair.kind),
                probability=pair.probability,
            )
            for pair in quality.pairs
        ],
        under_ids=array.array("H", [index + 1 for index in quality.under_indices]),
        tote_coverage=float(quality.tote_coverage),
        over_threshold=quality.thresholds.over_threshold,
        under_threshold=quality.thresholds.under_threshold,
        reasons=list(quality.reasons),
    )


def flag_instances(message: InstanceArray, quality: Quality) -> None:
    """Write the probabilities into the instances of a message."""
    over, under = quality.p_over.tolist(), quality.p_under.tolist()
    for instance, p_over, p_under in zip(message.instances, over, under, strict=True):
        instance.p_over, instance.p_under = p_over, p_under


def quality_from_messages(instances: Any, message: Any) -> Quality:
    """Read what a node said about one image.

    Args:
        instances: Its ``InstanceArray``.
        message: The ``SegmentationQuality`` of the same image.

    Returns:
        The flags; a partner is known for pairs at or above the node's threshold only.

    Raises:
        DataError: They name an instance that is not there, or hold a value that means nothing.
    """
    try:
        return _read(instances, message)
    except (ValueError, ConfigError) as error:
        raise DataError(f"flags of the image: {error}") from error


def _read(instances: Any, message: Any) -> Quality:
    count = len(instances.instances)
    named = [*message.under_ids, *(n for p in message.pairs for n in (p.id_a, p.id_b))]
    if strange := [number for number in named if not 1 <= number <= count]:
        raise ValueError(f"instance {strange[0]} is named, but there are {count}")
    pairs = tuple(
        SuspectPair(p.id_a - 1, p.id_b - 1, PairKind(p.kind), p.probability) for p in message.pairs
    )
    partner = np.full(count, -1, np.int32)
    for pair in reversed(pairs):  # the most probable one is written last
        partner[pair.first], partner[pair.second] = pair.second, pair.first
    return Quality(
        p_over=np.array([i.p_over for i in instances.instances], np.float32),
        p_under=np.array([i.p_under for i in instances.instances], np.float32),
        partner=partner,
        frame_p_over=message.p_over,
        frame_p_under=message.p_under,
        verdict=Verdict(message.verdict),
        pairs=pairs,
        under_indices=tuple(number - 1 for number in message.under_ids),
        tote_coverage=message.tote_coverage,
        thresholds=QualityConfig(
            round(message.over_threshold, 6), round(message.under_threshold, 6)
        ),
        reasons=tuple(message.reasons),
    )
