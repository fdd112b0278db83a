# SPDX-License-Identifier: Apache-2.0
"""The eight per-picture figures of Tensorleap's ARMBench example, under their own names."""

from __future__ import annotations

from typing import Any

import numpy as np

from armseg_ros.evaluate.attributes import small_boxes
from armseg_ros.evaluate.split_counts import PictureSplits
from armseg_ros.types import Detections, Instances

SEED_MAX_TRUTH = 20  # the seed reads the first 20 annotations of a picture and loses the rest
SEED_SCORE_THRESHOLD = 0.35
SEED_IOU_THRESHOLD = 0.5
UNJUDGED = {
    "Over_Segmented_metric": 0,
    "Under_Segmented_metric": 0,
    "Over_Segmented_Instances_count": 0,
    "Under_Segmented_Instances_count": 0,
    "Average_segments_num_Over_Segmented": 0.0,
    "Average_segments_num_Under_Segmented": 0.0,
    "Small_BB_Under_Segmtented": 0,  # spelled as the seed spells it
    "Over_Segment_confidences": 0.0,
}


def seed_truth(truth: Instances) -> Instances:
    """Cut ground truth as the seed does: the first 20 annotations, whatever their class."""
    head = slice(SEED_MAX_TRUTH)
    return Instances(truth.boxes[head], truth.class_ids[head], truth.masks[head], truth.crowd[head])


def seed_figures(
    picture: PictureSplits, detections: Detections, truth: Instances, hw: tuple[int, int]
) -> dict[str, float | int | None]:
    """Compute the eight figures of one picture by the seed rule.

    Args:
        picture: The judged picture.
        detections: What was judged.
        truth: What it was judged against.
        hw: Height and width of the picture in pixels.

    Returns:
        Flags 0 or 1, counts (ground truths for over, predictions for under), mean number of parts
        over the offenders, a flag for a small ground truth in a merge, and the mean score of the
        predictions that split. None where nothing can be said: all of them in a picture without
        predictions or without objects, the means without an offender.
    """
    if not len(picture.shown) or not len(picture.counted):
        return dict.fromkeys(UNJUDGED)
    over, under = picture.seed.over, picture.seed.under
    small = small_boxes(truth.boxes[picture.counted], hw[0] * hw[1])
    scores = detections.scores[picture.shown][picture.seed.split_predictions()]
    return {
        "Over_Segmented_metric": int(bool(over)),
        "Under_Segmented_metric": int(bool(under)),
        "Over_Segmented_Instances_count": len(over),
        "Under_Segmented_Instances_count": len(under),
        "Average_segments_num_Over_Segmented": _mean([len(group.parts) for group in over]),
        "Average_segments_num_Under_Segmented": _mean([len(group.parts) for group in under]),
        "Small_BB_Under_Segmtented": int(any(small[list(group.parts)].any() for group in under)),
        "Over_Segment_confidences": _mean(scores.tolist()),
    }


def as_the_seed_reports(figures: dict[str, float | int | None]) -> dict[str, float | int]:
    """Put 0 where nothing was judged, as the seed does: a total miss then looks perfect."""
    return {name: UNJUDGED[name] if value is None else value for name, value in figures.items()}


def _mean(values: list[Any]) -> float | None:
    return float(np.mean(values)) if values else None
