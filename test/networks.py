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


def write_convolutions(
    path: Path, *, dtype: type = np.float32, dynamic: bool = False, seed: int = 0
) -> Path:
    """Write a network of real convolutions with the outputs of YOLOv5-seg for 64x64 pictures.

    Two layers with SiLU, then one convolution for the prototypes and one for each stride.
    """
    rng = np.random.default_rng(seed)
    nodes, weights = [], []

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(name: str, source: str, channels: tuple[int, int], size: int) -> str:
        scale = 1 / np.sqrt(channels[0] * size**2)
        kernel = (rng.normal(size=(channels[1], channels[0], size, size)) * scale).astype(dtype)
        bias = rng.normal(size=channels[1]).astype(dtype)
        inputs = [source, constant(f"{name}_w", kernel), constant(f"{name}_b", bias)]
        nodes.append(helper.make_node("Conv", inputs, [name], name, strides=[size, size]))
        return name

    def silu(source: str) -> str:
        nodes.append(helper.make_node("Sigmoid", [source], [f"{source}_s"], f"{source}_s"))
        inputs = [source, f"{source}_s"]
        nodes.append(helper.make_node("Mul", inputs, [f"{source}_a"], f"{source}_a"))
        return f"{source}_a"

    first = silu(convolution("first", "images", (3, 16), 4))
    second = silu(convolution("second", first, (16, 16), 1))
    convolution("output1", second, (16, 32), 1)
    levels = []
    for stride in (8, 16, 32):
        level = convolution(f"level_{stride}", second, (16, 117), stride // 4)
        shape = constant(f"shape_{stride}", np.array([1, 3, 39, -1]))
        nodes.append(helper.make_node("Reshape", [level, shape], [f"{level}_r"], f"{level}_r"))
        nodes.append(
            helper.make_node("Transpose", [f"{level}_r"], [f"{level}_t"], perm=[0, 1, 3, 2])
        )
        flat = constant(f"flat_{stride}", np.array([1, -1, 39]))
        nodes.append(helper.make_node("Reshape", [f"{level}_t", flat], [f"{level}_f"]))
        levels.append(f"{level}_f")
    nodes.append(helper.make_node("Concat", levels, ["rows"], "rows", axis=1))
    nodes.append(helper.make_node("Sigmoid", ["rows"], ["output0"], "output0_s"))
    kind = TensorProto.FLOAT if dtype is np.float32 else TensorProto.FLOAT16
    shapes = {"output0": [1, 252, 39], "output1": [1, 32, 16, 16]}
    shape = [1, 3, 64, 64]
    if dynamic:
        shapes = {"output0": ["n", "rows", "columns"], "output1": ["n", 32, "height", "width"]}
        shape = ["n", 3, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"names": "{0: 'Object', 1: 'Tote'}", "stride": "32"})
    onnx.save(model, path)
    return path
