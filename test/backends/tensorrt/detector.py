# SPDX-License-Identifier: Apache-2.0
"""A small detector in ONNX with what matters to a builder: convolutions, Resize, decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 1024
CELLS = WIDTH // 8


def write_detector(path: Path, *, quantised: bool = False) -> Path:
    """A network in float32 with what matters here: convolutions, Resize, decoding above 512 px."""
    rng = np.random.default_rng(0)
    stored = {
        "w1": rng.normal(0, 0.3, (8, 3, 8, 8)).astype(np.float32),
        "b1": rng.normal(0, 0.3, 8).astype(np.float32),
        "w2": rng.normal(0, 0.3, (39, 8, 1, 1)).astype(np.float32),
        "w3": rng.normal(0, 0.3, (32, 8, 1, 1)).astype(np.float32),
        "grid": (np.arange(CELLS * 4, dtype=np.float32) % CELLS).reshape(1, 1, 4, CELLS),
        "stride": np.float32([8]),
        "scales": np.float32([1, 1, 2, 2]),
        "columns": np.int64([1, 39, 4 * CELLS]),
        "one": np.int64([1]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1", "b1"], ["x"], strides=[8, 8]),
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["x", "s"], ["neck"]),
        helper.make_node("Conv", ["neck", "w2"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Add", ["scores", "grid"], ["cells"]),
        helper.make_node("Mul", ["cells", "stride"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "columns"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["output0"], perm=[0, 2, 1]),
        helper.make_node("Resize", ["neck", "", "scales"], ["up"], mode="nearest"),
        helper.make_node("Conv", ["up", "w3"], ["output1"]),
        helper.make_node("ReduceMean", ["neck"], ["features"], axes=[2, 3], keepdims=0),
    ]
    if quantised:
        stored |= {"scale": np.float32(0.1), "zero": np.int8(0)}
        nodes[0].input[0] = "dequantised"
        nodes[:0] = [
            helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["quantised"]),
            helper.make_node("DequantizeLinear", ["quantised", "scale", "zero"], ["dequantised"]),
        ]
    outputs = {
        "output0": [1, 4 * CELLS, 39],
        "output1": [1, 32, 8, 2 * CELLS],
        "features": [1, 8],
    }
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, WIDTH])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def write_segmenter(path: Path, hw: tuple[int, int] = (96, 128)) -> Path:
    """A YOLOv5-seg head straight on the picture: quick, and every output depends on the pixels."""
    rng = np.random.default_rng(0)
    height, width = hw
    stored: dict[str, np.ndarray] = {"scale": np.ones(39, np.float32)}
    stored["scale"][:4] = width, height, width / 2, height / 2
    nodes, levels = [], []
    for stride in (8, 16, 32):
        cells = (height // stride, width // stride)
        level = f"p{stride}"
        stored[f"w{stride}"] = rng.normal(0, 3 / stride, (117, 3, stride, stride)).astype("f4")
        stored[f"b{stride}"] = rng.normal(0, 1, 117).astype(np.float32)
        stored[f"split{stride}"] = np.int64([1, 3, 39, *cells])
        stored[f"rows{stride}"] = np.int64([1, 3 * cells[0] * cells[1], 39])
        weights = ["images", f"w{stride}", f"b{stride}"]
        nodes += [
            helper.make_node("Conv", weights, [f"c{level}"], strides=[stride] * 2),
            helper.make_node("Sigmoid", [f"c{level}"], [f"s{level}"]),
            helper.make_node("Reshape", [f"s{level}", f"split{stride}"], [f"r{level}"]),
            helper.make_node("Transpose", [f"r{level}"], [f"t{level}"], perm=[0, 1, 3, 4, 2]),
            helper.make_node("Reshape", [f"t{level}", f"rows{stride}"], [level]),
        ]
        levels.append(level)
    stored["wp"] = rng.normal(0, 0.5, (32, 3, 4, 4)).astype(np.float32)
    nodes += [
        helper.make_node("Concat", levels, ["cells"], axis=1),
        helper.make_node("Mul", ["cells", "scale"], ["output0"]),
        helper.make_node("Conv", ["images", "wp"], ["output1"], strides=[4, 4]),
        helper.make_node("ReduceMean", ["output1"], ["features"], axes=[2, 3], keepdims=0),
    ]
    row_count = 3 * sum((height // s) * (width // s) for s in (8, 16, 32))
    outputs = {
        "output0": [1, row_count, 39],
        "output1": [1, 32, height // 4, width // 4],
        "features": [1, 32],
    }
    graph = helper.make_graph(
        nodes,
        "segmenter",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *hw])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"names": "{0: 'Object', 1: 'Tote'}"})
    onnx.save(model, path)
    return path
