# SPDX-License-Identifier: Apache-2.0
"""The operating point: what a user of the node sees of a picture, beside what AP is made from.

Average precision needs detections of low score and a mild suppression, so an evaluation decodes
each answer of the network twice: once for AP (the recorded detections), once as the node does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armseg_ros.evaluate.overlays import above
from armseg_ros.quality.evidence import Evidence, kept_rows
from armseg_ros.quality.result import Quality, first_of
from armseg_ros.types import Candidates, Detections, Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class Operating:
    """Detections at the operating point.

    Attributes:
        detections: N instances, in source pixels.
        recorded: (N,) int32 place of each among the recorded detections. What the recorded
            suppression left out comes after them: the first such instance has the place P, the
            number of recorded ones, the next P + 1, and so on.
        quality: Their flags; None where nobody judged them.
        evidence: What features are made from; None where only a node knows.
    """

    detections: Detections
    recorded: Int32Array
    quality: Quality | None = None
    evidence: Evidence | None = None


def operating_above(
    recorded: Detections, score_threshold: float, quality: Quality | None = None
) -> Operating:
    """Take the recorded detections above a score, where they were decoded once only.

    Args:
        recorded: By descending score.
        score_threshold: Of the operating point.
        quality: Flags of all that was recorded.
    """
    shown = above(recorded, score_threshold)
    places = np.arange(len(shown), dtype=np.int32)
    return Operating(shown, places, None if quality is None else first_of(quality, len(shown)))


def places_among(recorded: Candidates, operating: Candidates, count: int) -> Int32Array:
    """Find each instance of the operating point among the recorded ones.

    Both decodings rank the same rows by score, so the candidates of one are the first of the other.

    Args:
        recorded: Candidates of the recorded decoding, with its lower threshold.
        operating: Candidates of the other one.
        count: Number of recorded detections.

    Returns:
        (N,) int32, as ``Operating.recorded``.
    """
    theirs = kept_rows(recorded)
    places = np.full(len(recorded), -1, np.int32)
    places[theirs] = np.arange(len(theirs), dtype=np.int32)
    out: Int32Array = places[kept_rows(operating)]
    new = out < 0
    out[new] = count + np.arange(new.sum(), dtype=np.int32)
    return out
