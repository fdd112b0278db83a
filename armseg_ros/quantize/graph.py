# SPDX-License-Identifier: Apache-2.0
"""What quantisation needs to know of, and to change in, an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

QUANTISED_OPERATORS = ("QuantizeLinear", "QLinearConv", "DynamicQuantizeLinear")
DENSE_RANKS = (3, 4)  # rows and prototypes; pooled features have two axes


def is_quantised(model: Any) -> bool:
    """Tell whether the graph computes in integers somewhere."""
    return any(node.op_type in QUANTISED_OPERATORS for node in model.graph.node)


def to_float32(model: Any) -> None:
    """Turn every float16 tensor and cast of a graph into float32, which loses nothing.

    Casts that then have nothing to do are left to the optimiser of the engine.
    """
    for tensor in model.graph.initializer:
        _widen(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t)
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    for values in (model.graph.input, model.graph.output, model.graph.value_info):
        for value in values:
            kind = value.type.tensor_type
            if kind.elem_type == TensorProto.FLOAT16:
                kind.elem_type = TensorProto.FLOAT


def _widen(tensor: Any) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def last_convolutions(model: Any) -> list[str]:
    """Name the convolutions whose result reaches the rows or prototypes through no other one.

    They are a hundredth of the work, and their errors go straight into boxes, scores and masks.
    One of a single output channel is none: YOLOv8 takes the mean of its box distribution so.
    """
    channels = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    producers = {name: node for node in model.graph.node for name in node.output}
    waiting = [
        output.name
        for output in model.graph.output
        if len(output.type.tensor_type.shape.dim) in DENSE_RANKS
    ]
    seen: set[str] = set()
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in producers:
            continue
        seen.add(name)
        node = producers[name]
        if node.op_type == "Conv" and channels.get(node.input[1], 0) > 1:
            found.add(node.name)
        else:
            waiting.extend(node.input)
    return sorted(found)


def keep_used_domains(model: Any) -> None:
    """Drop the operator sets that no node uses; the quantiser declares a dozen."""
    used = {node.domain or "ai.onnx" for node in model.graph.node}
    kept = [item for item in model.opset_import if (item.domain or "ai.onnx") in used]
    domains = [onnx.helper.make_opsetid(item.domain, item.version) for item in kept]
    del model.opset_import[:]
    model.opset_import.extend(domains)
