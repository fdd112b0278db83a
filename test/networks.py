# SPDX-License-Identifier: Apache-2.0
"""Tiny ONNX files with the outputs of the supported heads, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed, which makes the networks of the tests")
import onnx
from onnx import TensorProto, helper, numpy_helper

FOUND = {"cx": 32.0, "cy": 24.0, "width": 16.0, "height": 12.0, "score": 0.9}


def write_network(
    path: Path,
    *,
    head: str = "yolov5",
    hw: tuple[int, int] = (64, 64),
    classes: int = 2,
    dtype: type = np.float32,
    dynamic: bool = False,
    names: str | None = "{0: 'Object', 1: 'Tote'}",
    prototype: float = 1.0,
) -> Path:
    """Write a network that answers every picture with one object, all positive inside its box."""
    height, width = hw
    cells = sum((height // s) * (width // s) for s in (8, 16, 32))
    rows = np.zeros((1, 3 * cells if head == "yolov5" else cells, 5 + classes + 32), dtype)
    rows[0, 0, :6] = [*list(FOUND.values())[:4], FOUND["score"], 1]
    rows[0, 0, 5 + classes] = 1
    if head == "yolov8":
        rows[0, 0, 5] = FOUND["score"]
        rows = np.ascontiguousarray(np.delete(rows, 4, axis=2).transpose(0, 2, 1))
    prototypes = np.full((1, 32, height // 4, width // 4), prototype, dtype)
    outputs = {"output0": rows, "output1": prototypes}
    kind = TensorProto.FLOAT if dtype is np.float32 else TensorProto.FLOAT16
    shape = ["batch", 3, "height", "width"] if dynamic else [1, 3, height, width]
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
            for name, value in outputs.items()
        ],
        "tiny",
        [helper.make_tensor_value_info("images", kind, shape)],
        [
            helper.make_tensor_value_info(name, kind, None if dynamic else value.shape)
            for name, value in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names is not None:
        helper.set_model_props(model, {"names": names, "stride": "32"})
    onnx.save(model, path)
    return path
