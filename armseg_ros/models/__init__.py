# SPDX-License-Identifier: Apache-2.0
"""The weights that come with the package; MODEL_CARD.md says what they can and cannot do."""

from pathlib import Path

DEFAULT_MODEL = "yolov5s_seg_totes.onnx"
INT8_MODEL = "yolov5s_seg_totes_int8.onnx"
DEFAULT_WEIGHTS = "yolov5s_seg_totes.pt"


def default_model_path() -> Path:
    """Path of the shipped ONNX file."""
    return Path(__file__).parent / DEFAULT_MODEL


def int8_model_path() -> Path:
    """Path of the same weights, quantised for CPUs."""
    return Path(__file__).parent / INT8_MODEL


def default_weights_path() -> Path:
    """Path of the shipped state dict, to go on training from."""
    return Path(__file__).parent / DEFAULT_WEIGHTS
