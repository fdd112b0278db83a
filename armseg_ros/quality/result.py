# SPDX-License-Identifier: Apache-2.0
"""What is said about one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from armseg_ros.config import QualityConfig
from armseg_ros.types import Float32Array, Int32Array


class Verdict(IntEnum):
    """One word for a picture; values are those of the message."""

    OK = 0
    LIKELY_OVER = 1  # at least one object is probably split
    LIKELY_UNDER = 2  # at least one mask probably holds several objects
    BOTH = 3
    UNKNOWN = 255  # not judged; the reasons say why


class PairKind(IntEnum):
    """What is wrong with two instances; values are those of the message."""

    MERGE = 0  # two parts of one object
    DUPLICATE = 1  # the same object twice


@dataclass(frozen=True, slots=True)
class SuspectPair:
    """Two instances that are probably one object.

    Attributes:
        first: Index into the detections.
        second: Index into the detections, larger than ``first``.
        kind: Whether they are parts or the same thing twice.
        probability: 0..1.
    """

    first: int
    second: int
    kind: PairKind
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """How far the segmentation of one picture can be trusted, judged without ground truth.

    Attributes:
        p_over: (N,) float32, 0..1: probability that an instance is a part of a split object, or a
            duplicate; NaN where not judged (totes, unknown detector).
        p_under: (N,) float32, 0..1: probability that it holds several objects; NaN likewise.
        partner: (N,) int32 instance that it most probably belongs together with, or -1.
        frame_p_over: 0..1 for the whole picture; NaN where not judged.
        frame_p_under: 0..1 for the whole picture; NaN where not judged.
        verdict: In one word.
        pairs: Suspects at or above the threshold, most probable first.
        under_indices: Instances at or above the threshold for under-segmentation.
        tote_coverage: Share of the tote under object masks, 0..1; NaN without a tote.
        thresholds: Used for the verdict.
        reasons: Why something was not judged; empty where everything was.
    """

    p_over: Float32Array
    p_under: Float32Array
    partner: Int32Array
    frame_p_over: float
    frame_p_under: float
    verdict: Verdict
    pairs: tuple[SuspectPair, ...]
    under_indices: tuple[int, ...]
    tote_coverage: float
    thresholds: QualityConfig
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.p_over, self.p_under, self.partner):
            array.flags.writeable = False


def unknown_quality(
    count: int, config: QualityConfig, reason: str, tote_coverage: float = float("nan")
) -> Quality:
    """Say nothing about ``count`` instances, and why."""
    return Quality(
        p_over=np.full(count, np.nan, np.float32),
        p_under=np.full(count, np.nan, np.float32),
        partner=np.full(count, -1, np.int32),
        frame_p_over=float("nan"),
        frame_p_under=float("nan"),
        verdict=Verdict.UNKNOWN,
        pairs=(),
        under_indices=(),
        tote_coverage=tote_coverage,
        thresholds=config,
        reasons=(reason,),
    )


def first_of(quality: Quality, count: int) -> Quality:
    """Keep what concerns the first ``count`` instances; the picture's own figures stay."""
    partner = quality.partner[:count]
    return replace(
        quality,
        p_over=quality.p_over[:count],
        p_under=quality.p_under[:count],
        partner=np.where(partner < count, partner, np.int32(-1)).astype(np.int32),
        pairs=tuple(p for p in quality.pairs if max(p.first, p.second) < count),
        under_indices=tuple(k for k in quality.under_indices if k < count),
    )
