# SPDX-License-Identifier: Apache-2.0
"""An answerer that knows the ground truth and spoils it in a repeatable way, for tests."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection

import numpy as np
import totes

from armseg_ros.data.source import Source
from armseg_ros.errors import BackendError
from armseg_ros.evaluate.answer import Answer, NoAnswerError, Provenance
from armseg_ros.types import Detections, Frame, Instances, Mask, StageTimes


class Oracle:
    """Answers with the truth, each mask shifted and some left out or doubled."""

    def __init__(
        self,
        source: Source,
        *,
        perfect: bool = False,
        silent: Collection[str] = (),
        broken: Collection[str] = (),
    ) -> None:
        self._truths = {item.sample_id: item.truth() for item in source}
        self._perfect, self._silent, self._broken = perfect, silent, broken

    def answer(self, frame: Frame, _content: Callable[[], bytes], decode_ms: float) -> Answer:
        if frame.sample_id in self._silent:
            raise NoAnswerError("no answer within 1 s")
        if frame.sample_id in self._broken:
            raise BackendError("the engine is out of memory")
        truth = self._truths[frame.sample_id]
        found = totes.detections([], [], [])
        if truth is not None:
            seed = zlib.crc32(frame.sample_id.encode())
            found = _exact(truth) if self._perfect else _spoil(truth, frame.hw, seed)
        times = StageTimes(decode=decode_ms, inference=2.0, total=decode_ms + 2.0)
        return Answer(found, np.full(3, len(found), np.float32), times)

    def provenance(self) -> Provenance:
        return Provenance("in process", "oracle", "oracle@0", "0" * 64, {"score_threshold": 0.001,
                          "iou_threshold": 0.6, "max_detections": 100})  # fmt: skip


def _exact(truth: Instances) -> Detections:
    scores = np.linspace(1, 0.5, len(truth)).tolist()
    return totes.detections(list(truth.masks), truth.class_ids.tolist(), scores)


def _spoil(truth: Instances, hw: tuple[int, int], seed: int) -> Detections:
    random = np.random.default_rng(seed)
    masks: list[Mask] = []
    class_ids: list[int] = []
    for mask, class_id in zip(truth.masks, truth.class_ids, strict=True):
        for _ in range(random.integers(0, 3)):
            height, width = mask.crop.shape
            x = int(np.clip(mask.x + random.integers(-2, 3), 0, hw[1] - width))
            y = int(np.clip(mask.y + random.integers(-2, 3), 0, hw[0] - height))
            masks.append(Mask(random.random((height, width)) < 0.97, x, y))
            class_ids.append(int(class_id))
    scores = np.sort(random.random(len(masks)).astype(np.float32))[::-1]
    return totes.detections(masks, class_ids, scores.tolist())
