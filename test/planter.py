# SPDX-License-Identifier: Apache-2.0
"""An answerer that knows the ground truth and plants one mistake of a kind, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import totes
from oracle import Oracle

from armseg_ros.config import QualityConfig
from armseg_ros.evaluate.answer import Answer
from armseg_ros.evaluate.operating import Operating
from armseg_ros.quality.result import Quality, Verdict
from armseg_ros.types import OBJECT, TOTE, Detections, Frame, Instances, Mask

SPLIT, MERGED, MISSED, DOUBLED, NOISE = "split", "merged", "missed", "doubled", "noise"


class Planter(Oracle):
    """Answers with the truth, with one planted mistake in every picture of enough objects."""

    def __init__(self, source: Any, mistakes: dict[str, str]) -> None:
        super().__init__(source, perfect=True)
        self._mistakes = mistakes

    def answer(self, frame: Frame, content: Callable[[], bytes], decode_ms: float) -> Answer:
        truth = self._truths[frame.sample_id]
        assert truth is not None
        found = plant(truth, self._mistakes.get(frame.sample_id, ""))
        whole = super().answer(frame, content, decode_ms)
        places = np.arange(len(found), dtype=np.int32)
        return replace(whole, detections=found, operating=Operating(found, places, flags(found)))


def plant(truth: Instances, mistake: str) -> Detections:
    objects = [truth.masks[k] for k in np.flatnonzero(truth.class_ids == OBJECT)]
    if mistake == SPLIT:
        first = objects.pop(0)
        half = first.crop.shape[1] // 2
        objects += [Mask(first.crop[:, :half], first.x, first.y),
                    Mask(first.crop[:, half:], first.x + half, first.y)]  # fmt: skip
    elif mistake == MERGED:
        first, second = objects.pop(0), objects.pop(0)
        objects.append(totes.box_mask(first.x, first.y, second.x + 12 - first.x, second.y + 9 -
                                      first.y))  # fmt: skip
    elif mistake == MISSED:
        objects.pop(0)
    elif mistake == DOUBLED:
        objects.append(objects[0])
    elif mistake == NOISE:
        objects.append(totes.box_mask(48, 4, 8, 6))
    masks = [*(truth.masks[k] for k in np.flatnonzero(truth.class_ids == TOTE)), *objects]
    classes = [TOTE, *[OBJECT] * len(objects)]
    return totes.detections(masks, classes, np.linspace(0.9, 0.4, len(masks)).tolist())


def flags(found: Detections) -> Quality:
    objects = found.class_ids == OBJECT
    p = np.where(objects, np.linspace(0, 1, len(found)), np.nan).astype(np.float32)
    partner = np.where(objects, np.arange(len(found))[::-1], -1).astype(np.int32)
    return Quality(p, 1 - p, partner, 0.75, 0.25, Verdict.LIKELY_OVER, (), (), 0.5, QualityConfig())
