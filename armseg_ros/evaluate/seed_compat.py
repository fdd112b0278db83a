# SPDX-License-Identifier: Apache-2.0
"""What Tensorleap's ARMBench example would have found in the same answer of the network.

It keeps rows by objectness alone (above 0.35), the 50 best per stride, suppresses within a class
at box IoU 0.5 and keeps 50. Its ground truth ends after 20 annotations. Not repeated here: it
stretches pictures to the network's input and compares masks on a 160x160 grid.
"""

from __future__ import annotations

import numpy as np

from armseg_ros.config import DecodeConfig
from armseg_ros.decode import decode
from armseg_ros.evaluate.seed_figures import (
    SEED_IOU_THRESHOLD,
    SEED_SCORE_THRESHOLD,
    as_the_seed_reports,
    seed_figures,
    seed_truth,
)
from armseg_ros.evaluate.split_counts import judge_picture
from armseg_ros.segmenter import Inference
from armseg_ros.types import Detections, Float32Array, Instances, RawOutput

MOST = 50  # per stride, and in all
STRIDES = (8, 16, 32)


def seed_detections(inference: Inference) -> Detections:
    """Decode as the example does; N is at most 50, totes included."""
    raw = inference.raw
    rows = np.concatenate([_best(part) for part in _by_stride(raw)])
    config = DecodeConfig(
        score_threshold=0.0,
        candidate_threshold=0.0,
        iou_threshold=SEED_IOU_THRESHOLD,
        max_detections=MOST,
    )
    chosen = RawOutput(rows, raw.prototypes, raw.features)
    return decode(chosen, inference.letterbox, config)[0]


def compare_as_seed(
    detections: Detections, truth: Instances, hw: tuple[int, int]
) -> dict[str, float | int]:
    """Compute the eight figures of one picture, 0 where nothing was judged."""
    cut = seed_truth(truth)
    (judged,) = judge_picture(detections, cut, -1.0)
    return as_the_seed_reports(seed_figures(judged, detections, cut, hw))


def _by_stride(raw: RawOutput) -> list[Float32Array]:
    """Split the rows by stride; a head without anchors has a third as many in each."""
    height, width = (4 * side for side in raw.prototypes.shape[1:])
    cells = [(height // stride) * (width // stride) for stride in STRIDES]
    anchors = len(raw.candidates) // sum(cells)
    edges = np.cumsum(np.array(cells) * anchors)[:-1]
    return np.split(raw.candidates, edges)


def _best(rows: Float32Array) -> Float32Array:
    rows = rows[rows[:, 4] > SEED_SCORE_THRESHOLD]
    return rows[np.argsort(-rows[:, 4], kind="stable")[:MOST]]
