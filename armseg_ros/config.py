# SPDX-License-Identifier: Apache-2.0
"""Settings as frozen dataclasses; an error names the key, its value and the allowed range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from armseg_ros.errors import ConfigError


def require_range(key: str, value: float, low: float, high: float) -> None:
    """Raise ``ConfigError`` unless ``low <= value <= high`` (NaN never is)."""
    if not low <= value <= high:
        raise ConfigError(f"{key} is {value}, but must lie in {low} to {high}")


@dataclass(frozen=True, slots=True)
class DecodeConfig:
    """How raw network rows become instances.

    Attributes:
        score_threshold: Lowest score of an instance, 0..1 (kept when strictly above).
        iou_threshold: Box overlap above which the lower score is suppressed, 0..1.
        max_detections: Most instances per picture, 1..1000.
        class_ids: Classes to keep; empty keeps all.
        class_agnostic: Let boxes of different classes suppress each other.
        multi_label: Let one row become an instance of each class that passes; COCO figures of
            YOLOv5 are made so, a picking cell wants the best class alone.
        candidate_threshold: Lowest score of a row that is kept as evidence for the quality flags.
        max_candidates: Most rows that enter suppression, 1..30000.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 100
    class_ids: tuple[int, ...] = ()
    class_agnostic: bool = False
    multi_label: bool = False
    candidate_threshold: float = 0.05
    max_candidates: int = 30000

    def __post_init__(self) -> None:
        require_range("score_threshold", self.score_threshold, 0.0, 1.0)
        require_range("iou_threshold", self.iou_threshold, 0.0, 1.0)
        require_range("candidate_threshold", self.candidate_threshold, 0.0, 1.0)
        require_range("max_detections", self.max_detections, 1, 1000)
        require_range("max_candidates", self.max_candidates, 1, 30000)
        if any(class_id < 0 for class_id in self.class_ids):
            raise ConfigError(f"class_ids is {self.class_ids}, but no class id is negative")


@dataclass(frozen=True, slots=True)
class QualityConfig:
    """Thresholds of the verdict about a picture.

    Attributes:
        over_threshold: Probability from which a picture or a pair is called over-segmented, 0..1.
        under_threshold: Probability from which a picture or a mask is called under-segmented.
    """

    over_threshold: float = 0.5
    under_threshold: float = 0.5

    def __post_init__(self) -> None:
        require_range("over_threshold", self.over_threshold, 0.0, 1.0)
        require_range("under_threshold", self.under_threshold, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """Settings of a segmenter.

    Attributes:
        decode: Thresholds and limits.
        letterbox: ``letterbox`` keeps the aspect ratio and pads; ``stretch`` fills the input.
        quality: Thresholds of the flags.
    """

    decode: DecodeConfig = DecodeConfig()
    letterbox: Literal["letterbox", "stretch"] = "letterbox"
    quality: QualityConfig = QualityConfig()

    def __post_init__(self) -> None:
        if self.letterbox not in ("letterbox", "stretch"):
            raise ConfigError(
                f"letterbox is {self.letterbox!r}, but must be 'letterbox' or 'stretch'"
            )
