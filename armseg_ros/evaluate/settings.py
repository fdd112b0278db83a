# SPDX-License-Identifier: Apache-2.0
"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from armseg_ros.config import DecodeConfig, SegmenterConfig, require_range

COCO_MAX_DETECTIONS = 100


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Settings of an evaluation.

    Average precision reads the whole precision-recall curve, so it needs detections of low score;
    overlays and the counts at a threshold show what the node would publish.

    Attributes:
        score_threshold: Lowest score of a detection that is recorded, 0..1.
        iou_threshold: Box overlap above which the lower score is suppressed, 0..1.
        max_detections: Most detections per picture, 1..1000; COCO reads the best 100.
        operating_threshold: Lowest score in overlays and in the counts at a threshold, 0..1.
        operating_iou_threshold: Box overlap above which one is suppressed in overlays, flags and
            split figures, 0..1; that of the node.
        overlays: Most overlays to draw, spread evenly over the source; 0 draws none.
        limit: Most pictures to evaluate; 0 takes all.
        group_by: Attribute that names the scene of a picture; intervals draw whole scenes. Empty
            takes every picture for a scene of its own.
        seed_compat: Also compute the split figures the way of Tensorleap's ARMBench example.
    """

    score_threshold: float = 0.001
    iou_threshold: float = 0.6
    max_detections: int = COCO_MAX_DETECTIONS
    operating_threshold: float = 0.25
    operating_iou_threshold: float = 0.45
    overlays: int = 100
    limit: int = 0
    group_by: str = ""
    seed_compat: bool = False

    def __post_init__(self) -> None:
        require_range("score_threshold", self.score_threshold, 0.0, 1.0)
        require_range("iou_threshold", self.iou_threshold, 0.0, 1.0)
        require_range("max_detections", self.max_detections, 1, 1000)
        require_range("operating_threshold", self.operating_threshold, 0.0, 1.0)
        require_range("operating_iou_threshold", self.operating_iou_threshold, 0.0, 1.0)
        require_range("overlays", self.overlays, 0, 10**9)
        require_range("limit", self.limit, 0, 10**9)

    def segmenter(self) -> SegmenterConfig:
        """Settings of the segmenter of such an evaluation."""
        return SegmenterConfig(
            DecodeConfig(
                score_threshold=self.score_threshold,
                iou_threshold=self.iou_threshold,
                max_detections=self.max_detections,
            )
        )

    def operating(self) -> SegmenterConfig:
        """Settings of the node whose answers are judged beside it."""
        return SegmenterConfig(
            DecodeConfig(
                score_threshold=self.operating_threshold,
                iou_threshold=self.operating_iou_threshold,
                max_detections=self.max_detections,
            )
        )
