# SPDX-License-Identifier: Apache-2.0
"""Mask AP of a model in training, through the very segmenter that the node uses."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from armseg_ros.backends.base import ModelInfo
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.data.coco import Sample
from armseg_ros.errors import DataError
from armseg_ros.masks import encode_full
from armseg_ros.segmenter import Segmenter
from armseg_ros.train.model import YoloV5Seg
from armseg_ros.types import CLASS_NAMES, Float32Array, Frame, Instances, RawOutput

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
            output = self._network(x)
        rows = self._network.head.decode([level.float() for level in output.levels])
        arrays = (rows, output.prototypes.float(), output.features.float())
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
    truths: list[Instances] = []
    found = []
    for sample in samples:
        image = cv2.imread(str(sample.image_path), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{sample.image_path}: not a readable picture; restore it")
        frame = Frame(np.asarray(image, np.uint8), sample_id=sample.sample_id)
        found.append(segmenter.segment(frame).detections)
        truths.append(sample.truth)
    return _mask_ap(truths, found, [(s.height, s.width) for s in samples])


def _mask_ap(truths, found, sizes):  # type: ignore[no-untyped-def]
    document = {
        "images": [{"id": i, "height": h, "width": w} for i, (h, w) in enumerate(sizes)],
        "categories": [{"id": i, "name": n} for i, n in enumerate(CLASS_NAMES)],
        "annotations": [],
    }
    results = []
    for i, (truth, dets, hw) in enumerate(zip(truths, found, sizes)):
        for k, m in enumerate(truth.masks):
            document["annotations"].append(
                dict(
                    id=len(document["annotations"]) + 1,
                    image_id=i,
                    category_id=int(truth.class_ids[k]),
                    iscrowd=int(truth.crowd[k]),
                    area=m.area,
                    segmentation=encode_full(m, hw),
                    bbox=[0, 0, 1, 1],
                )
            )
        for k, m in enumerate(dets.masks):
            results.append(
                dict(
                    image_id=i,
                    category_id=int(dets.class_ids[k]),
                    score=float(dets.scores[k]),
                    segmentation=encode_full(m, hw),
                )
            )
    out = {}
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = document
        gt.createIndex()
        if not results:
            return {f"{n.lower()}_{k}": 0.0 for n in CLASS_NAMES for k in ("ap", "ap50")}
        ev = COCOeval(gt, gt.loadRes(results), "segm")
        ev.evaluate()
        ev.accumulate()
    p = ev.eval["precision"]
    for k, n in enumerate(CLASS_NAMES):
        v, v5 = p[:, :, k, 0, 2], p[0, :, k, 0, 2]
        out[f"{n.lower()}_ap"] = float(v[v > -1].mean()) if (v > -1).any() else float("nan")
        out[f"{n.lower()}_ap50"] = float(v5[v5 > -1].mean()) if (v5 > -1).any() else float("nan")
    return out
