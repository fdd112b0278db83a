# SPDX-License-Identifier: Apache-2.0
"""Does an engine find what its model finds in ONNX Runtime, picture by picture?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from armseg_ros.backends.base import Backend, EngineSettings
from armseg_ros.backends.onnx import OnnxBackend
from armseg_ros.backends.tensorrt.selftest import make_picture
from armseg_ros.config import DecodeConfig
from armseg_ros.data.folder import FolderSource
from armseg_ros.decode import decode
from armseg_ros.letterbox import Letterbox
from armseg_ros.masks import box_iou, full_mask
from armseg_ros.types import Detections, Float32Array

BOX_LIMIT_PX = 0.5
MASK_LIMIT = 0.99
CERTAIN = 0.05  # instances nearer to the threshold than this may be found by one engine alone


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far an engine and ONNX Runtime agree.

    Attributes:
        pictures: Number of pictures.
        instances: Instances that ONNX Runtime is certain of.
        missed: Those of them that the engine does not find.
        extra: Instances that the engine is certain of, and ONNX Runtime does not find.
        box_px: Largest difference of an edge of a box in network pixels, over those found.
        mask_iou: Smallest overlap of two masks, over those found.
    """

    pictures: int
    instances: int
    missed: int
    extra: int
    box_px: float
    mask_iou: float

    @property
    def holds(self) -> bool:
        """Whether some are there, the same ones, with boxes within 0.5 px and masks of 0.99."""
        return (
            self.instances > 0
            and not (self.missed or self.extra)
            and self.box_px <= BOX_LIMIT_PX
            and self.mask_iou >= MASK_LIMIT
        )

    def __str__(self) -> str:
        if not (self.instances or self.extra):
            return f"finds nothing on {self.pictures} pictures, as ONNX Runtime: give others"
        verdict = "agrees with" if self.holds else "DIFFERS from"
        return (
            f"{verdict} ONNX Runtime on {self.pictures} pictures: {self.instances} instances, "
            f"{self.missed} missed, {self.extra} more, "
            f"boxes within {self.box_px:.2f} px (limit {BOX_LIMIT_PX}), "
            f"masks overlap by {self.mask_iou:.4f} and more (limit {MASK_LIMIT})"
        )


def verify(backend: Backend, model: Path, pictures: Path | None, limit: int) -> Agreement:
    """Compare on the same input tensors.

    Args:
        backend: The engine.
        model: The ONNX file it was built from.
        pictures: Folder of pictures; None takes the one of the self-test.
        limit: Most pictures.

    Raises:
        BackendError: One of them does not run.
        DataError: The folder has no pictures, or one cannot be read.
    """
    hw = backend.model.network_hw
    reference = OnnxBackend(model, EngineSettings(network_size=max(hw)))
    config = DecodeConfig()
    letterbox = Letterbox(hw, hw, (0, 0, hw[1], hw[0]))  # boxes and masks in network pixels
    count = certain = missed = extra = 0
    box_px, mask_iou = 0.0, 1.0
    for tensor in _tensors(pictures, hw, limit):
        count += 1
        wanted, _ = decode(reference.infer(tensor), letterbox, config)
        found, _ = decode(backend.infer(tensor), letterbox, config)
        extra += sum(_match(found, k, wanted) is None for k in _certain(found, config))
        for index in _certain(wanted, config):
            certain += 1
            match = _match(wanted, index, found)
            if match is None:
                missed += 1
                continue
            box_px = max(box_px, float(np.abs(found.boxes[match] - wanted.boxes[index]).max()))
            mask_iou = min(mask_iou, _mask_iou(wanted, index, found, match, hw))
    reference.close()
    return Agreement(count, certain, missed, extra, box_px, mask_iou)


def _tensors(pictures: Path | None, hw: tuple[int, int], limit: int) -> Iterator[Float32Array]:
    if pictures is None:
        yield make_picture(hw)
        return
    for item in islice(FolderSource([pictures]), limit):
        frame = item.frame()
        letterbox = Letterbox.fit(frame.hw, hw)
        tensor = letterbox.empty_tensor()
        letterbox.write_tensor(frame.image, tensor)
        yield tensor


def _certain(detections: Detections, config: DecodeConfig) -> list[int]:
    """List the instances whose score is well above the threshold."""
    sure: list[int] = np.flatnonzero(detections.scores >= config.score_threshold + CERTAIN).tolist()
    return sure


def _match(wanted: Detections, index: int, found: Detections) -> int | None:
    """Find the instance of the same class with the most overlap, at least half."""
    overlap = box_iou(wanted.boxes[index : index + 1], found.boxes)[0]
    overlap[found.class_ids != wanted.class_ids[index]] = 0
    if overlap.size == 0 or overlap.max() < 0.5:
        return None
    return int(overlap.argmax())


def _mask_iou(
    wanted: Detections, index: int, found: Detections, match: int, hw: tuple[int, int]
) -> float:
    a, b = full_mask(wanted.masks[index], hw), full_mask(found.masks[match], hw)
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0
