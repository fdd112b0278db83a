# SPDX-License-Identifier: Apache-2.0
"""Mask AP of a model in training, through the very segmenter that the node uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.data.coco import CATEGORIES, Sample
from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.evaluate.coco import CocoScorer
from armseg_ros.segmenter import Segmenter
from armseg_ros.train.model import YoloV5Seg
from armseg_ros.train.pictures import read_picture
from armseg_ros.types import CLASS_NAMES, Float32Array, Frame, RawOutput

DECODE = DecodeConfig(score_threshold=0.005, iou_threshold=0.6, max_detections=100)
"""Low threshold for the whole precision-recall curve; 100 detections are COCO's limit."""


class TorchBackend:
    """A model in training behind the interface of the inference engines.

    Args:
        network: The model, in evaluation mode.
        network_hw: Height and width of the network input in pixels.
        bf16: Run in bfloat16 where autocast sees fit.
    """

    def __init__(self, network: YoloV5Seg, network_hw: tuple[int, int], bf16: bool) -> None:
        self.model = ModelInfo(Path("training"), "0" * 64, network_hw, CLASS_NAMES)
        self._network = network
        self._bf16 = bf16
        self._device = next(network.parameters()).device

    @property
    def name(self) -> str:
        """``torch-cpu`` or ``torch-cuda``."""
        return f"torch-{self._device.type}"

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network on a (1, 3, h, w) float32 RGB tensor in 0..1."""
        x = torch.from_numpy(tensor).to(self._device, memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, self._bf16):
            arrays = self._network.predict(x)
        return RawOutput(*(np.array(array[0].cpu().numpy()) for array in arrays))

    def close(self) -> None:
        """Do nothing: the model belongs to the trainer."""


def validate(
    network: YoloV5Seg, samples: Sequence[Sample], network_hw: tuple[int, int], bf16: bool
) -> dict[str, float]:
    """Segment pictures and compare with their truth.

    Args:
        network: The model, in evaluation mode.
        samples: Annotated pictures.
        network_hw: Network size in pixels.
        bf16: As for TorchBackend.

    Returns:
        ``object_ap``, ``object_ap50``, ``tote_ap`` and ``tote_ap50``, 0..1; NaN for a class
        without truth.
    """
    segmenter = Segmenter(TorchBackend(network, network_hw, bf16), SegmenterConfig(decode=DECODE))
    truth: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [dict(category) for category in CATEGORIES],
    }
    predictions: list[dict[str, Any]] = []
    for index, sample in enumerate(samples):
        frame = Frame(read_picture(sample), sample_id=sample.sample_id)
        truth["images"].append({"id": index, "height": sample.height, "width": sample.width})
        for record in truth_records(sample.truth, index, frame.hw):
            truth["annotations"].append({**record, "id": len(truth["annotations"]) + 1})
        predictions += result_records(segmenter.segment(frame).detections, index, frame.hw)
    scorer = CocoScorer("segm")
    scorer.add(truth, predictions)
    metrics = {}
    for class_id, name in enumerate(CLASS_NAMES):
        figures = scorer.figures(class_id)
        for key, value in (("ap", figures.ap), ("ap50", figures.ap50)):
            metrics[f"{name.lower()}_{key}"] = math.nan if value is None else value
    return metrics
