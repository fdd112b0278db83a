# SPDX-License-Identifier: Apache-2.0
"""The ONNX file as the builder needs it: of fixed size, and in the precision that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armseg_ros.backends.model_info import read_class_names, read_network_hw
from armseg_ros.errors import BackendError, one_line

PRECISIONS = ("auto", "fp16", "fp32", "int8")
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedModel:
    """An ONNX file, ready for the parser.

    Attributes:
        content: The serialised model of fixed input size.
        network_hw: Height and width of the input in pixels.
        dynamic: True where the file left them open.
        class_names: From the metadata; empty where the file does not say.
        precision: ``fp16``, ``fp32`` or ``int8``.
    """

    content: bytes
    network_hw: tuple[int, int]
    dynamic: bool
    class_names: tuple[str, ...]
    precision: str


def prepare(path: Path, precision: str, network_size: int) -> PreparedModel:
    """Read a model, fix its size, and bring it to a precision.

    Args:
        path: An ONNX file.
        precision: ``fp16`` computes in float16 up to the last convolutions and decodes boxes in
            float32; ``fp32`` takes the file as it is; ``int8`` does too, and wants it quantised;
            ``auto`` is ``int8`` for a quantised file, else ``fp16``.
        network_size: Side of the square input where the file leaves it open.

    Raises:
        BackendError: onnx is not installed, the file is damaged, or does not fit the precision.
    """
    onnx = import_onnx()
    try:
        model = onnx.load(str(path))
        if not model.graph.input:
            raise ValueError("it has no input")
    except Exception as error:  # protobuf has exceptions of its own
        raise BackendError(
            f"{path}: not a model that onnx can load ({one_line(error)}); export or copy it again"
        ) from error
    network_hw, dynamic = _fix_size(model, network_size, path)
    chosen = _choose_precision(model, precision, path)
    if chosen == "fp16" and not holds_float16(model):
        from armseg_ros.backends.tensorrt.mixed_precision import to_float16

        model = to_float16(model, path)
    names = {entry.key: entry.value for entry in model.metadata_props}.get("names")
    class_names = read_class_names(names, path)
    return PreparedModel(model.SerializeToString(), network_hw, dynamic, class_names, chosen)


def import_onnx() -> Any:
    """Import onnx, which only a build needs.

    Raises:
        BackendError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise BackendError(
            "to build an engine needs the Python package onnx: pip install onnx"
        ) from error
    return onnx


def holds_float16(model: Any) -> bool:
    """Whether the weights of a model are float16 already."""
    onnx = import_onnx()
    return any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer) or any(
        attribute.t.data_type == onnx.TensorProto.FLOAT16
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value" and len(attribute.t.dims) > 1
    )


def is_quantised(model: Any) -> bool:
    """Whether a model holds explicit quantisation."""
    return any(node.op_type in QUANTIZERS for node in model.graph.node)


def _choose_precision(model: Any, precision: str, path: Path) -> str:
    quantised = is_quantised(model)
    if precision == "auto":
        return "int8" if quantised else "fp16"
    if precision == "int8" and not quantised:
        raise BackendError(
            f"{path}: int8 needs a model with QuantizeLinear nodes, and this one has none; "
            "quantise the ONNX file first, or build fp16"
        )
    if precision != "int8" and quantised:
        raise BackendError(f"{path}: is quantised; build it with precision int8")
    if precision == "fp32" and holds_float16(model):
        raise BackendError(
            f"{path}: holds float16 weights, so fp32 would gain nothing; build fp16, or export it "
            "without --half"
        )
    return precision


def _fix_size(model: Any, network_size: int, path: Path) -> tuple[tuple[int, int], bool]:
    """Write fixed sides into the input, so that no optimisation profile is needed."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        found = ", ".join(value.name for value in inputs)
        raise BackendError(f"{path}: expected one image input of 4 dimensions, found {found}")
    sides = inputs[0].type.tensor_type.shape.dim
    shape = [side.dim_value if side.HasField("dim_value") else None for side in sides]
    height, width = read_network_hw(shape, network_size, path)
    for side, value in zip(sides, (1, 3, height, width), strict=True):
        side.dim_value = value
    dynamic = None in shape[2:]
    if dynamic:
        del model.graph.value_info[:]  # they speak of the open sides
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
    return (height, width), dynamic
