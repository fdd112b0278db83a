# SPDX-License-Identifier: Apache-2.0
"""Float32 ONNX to float16 up to the last convolutions, with everything after them in float32.

Above 512 the spacing of float16 is half a pixel, so grid, anchors and box centres must never be
float16. What comes after the last wide convolution on the way to an output is decoding; casts stand
at that border, at the image input and nowhere else. TensorRT takes the types as written (a strongly
typed network), so the same file means the same in every version.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from armseg_ros.backends.tensorrt.onnx_model import import_onnx
from armseg_ros.errors import BackendError, one_line

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# Inputs that stay float32 by the definition of the operator: scales of Resize.
FLOAT32_INPUTS = {"Resize": (2,), "Upsample": (1,)}
LARGEST_FLOAT16 = 65504.0


def to_float16(model: Any, path: Path) -> Any:
    """Convert a float32 model.

    Args:
        model: ``onnx.ModelProto`` with float32 weights and input.
        path: For messages.

    Returns:
        A new model with the same names, input and output types.

    Raises:
        BackendError: The result is not a valid model, as with operators unknown to this code.
    """
    onnx = import_onnx()
    out = onnx.ModelProto()
    out.CopyFrom(model)
    try:
        inferred = onnx.shape_inference.infer_shapes(out)
        _Converter(onnx, out.graph, _float32_tensors(onnx, inferred.graph)).convert()
        del out.graph.value_info[:]
        onnx.checker.check_model(out)
        onnx.shape_inference.infer_shapes(out, strict_mode=True)
    except Exception as error:
        raise BackendError(
            f"{path}: cannot be brought to float16 ({one_line(error)}); build fp32, or export it "
            "with --half"
        ) from error
    return out


def decoding_nodes(graph: Any) -> set[int]:
    """Find the nodes after the last wide convolutions.

    Returns:
        Indices into ``graph.node``. A convolution with a single output channel does not count as
        one: YOLOv8 takes the mean of its box distribution with it.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    feeds_convolution: set[str] = set()  # tensors that reach a wide convolution
    decoding = set()
    for index in range(len(graph.node) - 1, -1, -1):  # the nodes are sorted, so backwards is enough
        node = graph.node[index]
        if _is_wide(node, weights) or any(name in feeds_convolution for name in node.output):
            feeds_convolution.update(node.input)
        else:
            decoding.add(index)
    return decoding


def _is_wide(node: Any, weights: dict[str, tuple[int, ...]]) -> bool:
    if node.op_type not in WEIGHTED:
        return False
    shape = next((weights[name] for name in node.input if name in weights), None)
    return shape is None or shape[0] > 1


def _float32_tensors(onnx: Any, graph: Any) -> set[str]:
    """Name every tensor of type float32, made by a node or given."""
    values = [*graph.value_info, *graph.input, *graph.output]
    float32 = onnx.TensorProto.FLOAT
    names = {v.name for v in values if v.type.tensor_type.elem_type == float32}
    return names | {t.name for t in graph.initializer if t.data_type == float32}


class _Converter:
    """Rewrites one graph in place; each cast and each float16 copy is made once."""

    def __init__(self, onnx: Any, graph: Any, float32: set[str]) -> None:
        self._onnx = onnx
        self._graph = graph
        self._float32 = float32
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._decoding = decoding_nodes(graph)
        self._casts: dict[int, list[Any]] = defaultdict(list)  # before which node
        self._made: dict[tuple[str, int], str] = {}
        self._half: set[str] = set()  # tensors that float16 nodes make

    def convert(self) -> None:
        graph = self._graph
        for index, node in enumerate(graph.node):
            if index in self._decoding:
                self._use(index, node, self._half, self._onnx.TensorProto.FLOAT)
            else:
                self._to_half(index, node)
        nodes = []
        for index, node in enumerate(graph.node):
            nodes.extend([*self._casts[index], node])
        nodes.extend(self._outputs())
        used = {name for node in nodes for name in node.input}
        stored = [t for t in graph.initializer if t.name in used]
        nodes = [n for n in nodes if n.op_type != "Constant" or set(n.output) & used]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(stored)

    def _to_half(self, index: int, node: Any) -> None:
        """Let a node read and make float16."""
        half = self._onnx.TensorProto.FLOAT16
        if node.op_type == "Constant":
            # It keeps its type: whoever reads it in float16 gets a copy, as of an initializer.
            for attribute in node.attribute:
                if attribute.name == "value":
                    self._stored[node.output[0]] = attribute.t
            return
        self._use(index, node, self._float32 - self._half, half)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = half if attribute.i == self._onnx.TensorProto.FLOAT else attribute.i
            elif node.op_type == "ConstantOfShape" and attribute.name == "value":
                attribute.t.CopyFrom(self._as_half(attribute.t, attribute.t.name))
        self._half.update(name for name in node.output if name in self._float32)

    def _use(self, index: int, node: Any, names: set[str], to: int) -> None:
        """Replace those inputs of a node that are among ``names`` by casts or copies."""
        kept = FLOAT32_INPUTS.get(node.op_type, ())
        for position, name in enumerate(node.input):
            if name in names and position not in kept:
                node.input[position] = self._cast(index, name, to)

    def _cast(self, index: int, name: str, to: int) -> str:
        if (name, to) in self._made:
            return self._made[name, to]
        target = f"{name}_as_{'float16' if to == self._onnx.TensorProto.FLOAT16 else 'float32'}"
        self._made[name, to] = target
        if name in self._stored:
            copy = self._as_half(self._stored[name], target)
            self._graph.initializer.append(copy)
        else:
            cast = self._onnx.helper.make_node("Cast", [name], [target], f"cast_{target}", to=to)
            self._casts[index].append(cast)
        return target

    def _as_half(self, tensor: Any, name: str) -> Any:
        values = self._onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32:
            return tensor
        clipped = values.clip(-LARGEST_FLOAT16, LARGEST_FLOAT16)
        return self._onnx.numpy_helper.from_array(clipped.astype(np.float16), name)

    def _outputs(self) -> list[Any]:
        """Make float32 again of outputs that a float16 node makes."""
        casts = []
        for output in self._graph.output:
            if output.name not in self._half:
                continue
            inner = f"{output.name}_inside"
            for node in self._graph.node:
                for names in (node.input, node.output):
                    for position, name in enumerate(names):
                        if name == output.name:
                            names[position] = inner
            for cast in (cast for waiting in self._casts.values() for cast in waiting):
                cast.input[0] = inner if cast.input[0] == output.name else cast.input[0]
            casts.append(
                self._onnx.helper.make_node(
                    "Cast", [inner], [output.name], to=self._onnx.TensorProto.FLOAT
                )
            )
        return casts
