# SPDX-License-Identifier: Apache-2.0
"""What an evaluation knows about one frame, answered or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from armseg_ros.evaluate.answer import Answer
from armseg_ros.evaluate.judged import JudgedPicture
from armseg_ros.evaluate.matching import Matches
from armseg_ros.evaluate.operating import Operating
from armseg_ros.types import Instances

Status = Literal["answered", "dropped", "failed"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One frame of a run.

    Attributes:
        sample_id: Name of the picture.
        image_id: Its number.
        attributes: Further fields of its record.
        hw: Height and width in pixels; None where it did not decode.
        stamp_ns: Stamp in nanoseconds; 0 where it has none.
        status: ``answered``; ``dropped`` (no answer in time); ``failed`` (does not decode, or the
            network failed on it).
        reason: Why it is not answered, else empty.
        answer: What came back, None unless answered.
        truth: Ground truth, None where unlabelled or not answered.
        matches: Who found whom, None without truth.
        operating: The answer at the operating point, None unless answered.
        judged: What ground truth says about that, None without truth.
    """

    sample_id: str
    image_id: int
    attributes: dict[str, Any]
    hw: tuple[int, int] | None
    stamp_ns: int
    status: Status
    reason: str = ""
    answer: Answer | None = None
    truth: Instances | None = None
    matches: Matches | None = None
    operating: Operating | None = None
    judged: JudgedPicture | None = None
