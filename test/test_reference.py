# SPDX-License-Identifier: Apache-2.0
"""Letterbox and decode against reference vectors of the official YOLOv5-seg pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from armseg_ros.config import DecodeConfig
from armseg_ros.decode import decode, suppress
from armseg_ros.letterbox import Letterbox, minimum_network_hw
from armseg_ros.masks import encode_full
from armseg_ros.types import RawOutput

REFERENCE = np.load(Path(__file__).parent / "data" / "yolov5seg_reference.npz")
META = json.loads(REFERENCE["meta_json"].tobytes().decode())
CASES = {case["name"]: case for case in META["cases"]}
MODES = ("predict", "val", "agnostic", "multilabel", "maxdet3", "class0")


def raw_output(case: dict) -> RawOutput:
    values = REFERENCE[f"{case['name']}_vals"]
    rows = np.zeros((case["N"], values.shape[1]), np.float32)
    rows[REFERENCE[f"{case['name']}_rows"]] = values
    return RawOutput(rows, REFERENCE[f"{case['name']}_output1"][0].astype(np.float32))


def decode_config(parameters: dict) -> DecodeConfig:
    return DecodeConfig(
        score_threshold=parameters["conf_thres"],
        candidate_threshold=parameters["conf_thres"],
        iou_threshold=parameters["iou_thres"],
        max_detections=parameters["max_det"],
        class_ids=tuple(parameters.get("classes") or ()),
        class_agnostic=parameters.get("agnostic", False),
        multi_label=parameters.get("multi_label", False),
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_same_rows_are_kept(name: str, mode: str) -> None:
    case = CASES[name]
    expected = REFERENCE[f"{name}_{mode}_det"]
    letterbox = Letterbox.fit(tuple(case["frame_hw"]), tuple(case["net_hw"]))
    config = decode_config(case["results"][mode]["params"])
    detections, candidates = decode(raw_output(case), letterbox, config)
    kept, _ = suppress(candidates.boxes, candidates.scores, candidates.class_ids, config)
    assert len(detections) == len(expected)
    np.testing.assert_allclose(candidates.boxes[kept], expected[:, :4], atol=1e-3)
    np.testing.assert_allclose(detections.scores, expected[:, 4], atol=1e-6)
    np.testing.assert_array_equal(detections.class_ids, expected[:, 5].astype(int))
    if expected.shape[1] > 6:
        # The official pipeline multiplies the coefficients by the objectness; only the sign of
        # a logit matters to it. Ours stay as the network gave them.
        ours = candidates.coefficients[kept]
        factor = (expected[:, 6:] / ours).mean(axis=1, keepdims=True)
        np.testing.assert_allclose(ours * factor, expected[:, 6:], rtol=1e-4)
        assert ((factor > 0) & (factor <= 1)).all()


@pytest.mark.parametrize("name", [n for n in CASES if f"{n}_boxes_frame_u84" in REFERENCE])
def test_boxes_and_masks_in_the_frame(name: str) -> None:
    case = CASES[name]
    hw = tuple(case["frame_hw"])
    config = decode_config(case["results"]["predict"]["params"])
    detections, _ = decode(raw_output(case), Letterbox.fit(hw, tuple(case["net_hw"])), config)
    np.testing.assert_allclose(detections.boxes, REFERENCE[f"{name}_boxes_frame_u84"], atol=1e-3)
    exact = case["masks"]["u84_process_mask_native_frame"]
    ours = [encode_full(mask, hw) for mask in detections.masks]
    iou = [coco_mask.iou([a], [b], [False])[0, 0] for a, b in zip(ours, exact, strict=True)]
    assert min(iou) >= 0.998


def test_letterbox_rows() -> None:
    for row in META["letterbox_params"]:
        hw, scale_up = tuple(row["hw"]), row["scaleup"]
        shape = row["new_shape"]
        network_hw = tuple(shape) if isinstance(shape, list) else (shape, shape)
        if row["auto"]:
            network_hw = minimum_network_hw(hw, network_hw, scale_up=scale_up)
        letterbox = Letterbox.fit(hw, network_hw, scale_up=scale_up)
        assert network_hw == tuple(row["out_hw"]), row
        assert letterbox.content_xyxy == tuple(row["content_xyxy"]), row
    assert len(META["letterbox_params"]) == 108


def test_letterbox_pixels() -> None:
    for entry in META["letterbox_images"]:
        image = REFERENCE[f"lb{entry['k']}_in_bgr"]
        expected = REFERENCE[f"lb{entry['k']}_out_bgr"]
        hw = image.shape[:2]
        letterbox = Letterbox.fit(hw, expected.shape[:2], scale_up=entry["scaleup"])
        # Other OpenCV releases round the same interpolation to a neighbouring grey value.
        difference = letterbox.apply(image).astype(int) - expected
        assert np.abs(difference).max() <= 1, entry
        tensor = letterbox.empty_tensor()
        letterbox.write_tensor(image, tensor)
        np.testing.assert_allclose(tensor, REFERENCE[f"lb{entry['k']}_tensor_rgb"], atol=1.1 / 255)
