# SPDX-License-Identifier: Apache-2.0
"""Quantise the convolutions of a model to int8, with ranges measured on pictures.

Weights are signed and per channel. Activations are unsigned with a zero point for CPUs; TensorRT
wants them signed without one, and float biases. What lies between convolutions stays float, as do
the last ones and box decoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.errors import DataError, one_line
from armseg_ros.quantize.graph import (
    is_quantised,
    keep_used_domains,
    last_convolutions,
    to_float32,
)
from armseg_ros.types import Float32Array


def quantize(
    model: Path,
    tensors: Iterable[Float32Array],
    target: Path,
    *,
    engine: str = "cpu",
    description: str = "",
) -> None:
    """Write the int8 version of a model; what it says of its classes and stride stays.

    Args:
        model: An ONNX file in float32 or float16.
        tensors: (1, 3, h, w) float32 inputs of pictures like those it will see.
        target: The ONNX file to write; a file there is replaced once the new one is whole.
        engine: What will run it, ``cpu`` or ``tensorrt``.
        description: Of the pictures, for the metadata.

    Raises:
        DataError: The model cannot be read, is quantised already or holds no convolution, or the
            quantiser fails on it.
    """
    network = _read(model)
    to_float32(network)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        plain, prepared, made = (Path(folder) / name for name in ("plain", "prepared", "int8"))
        onnx.save(network, plain)
        try:
            quant_pre_process(plain, prepared, skip_symbolic_shape=True)
            _quantize(prepared, made, _Reader(network.graph.input[0].name, tensors), engine)
        except DataError:
            raise
        except Exception as error:  # of a dozen unrelated types
            raise DataError(f"{model}: cannot be quantised: {one_line(error)}") from error
        result = onnx.load(made)
        keep_used_domains(result)
        onnx.helper.set_model_props(result, _metadata(network, model, description))
        onnx.save(result, made)
        made.replace(target)


def _read(model: Path) -> Any:
    try:
        network = onnx.load(model)
        onnx.checker.check_model(network)
    except Exception as error:
        raise DataError(f"{model}: not an ONNX model ({one_line(error)})") from error
    if is_quantised(network):
        raise DataError(f"{model}: is quantised already; take the file that it was made from")
    if not any(node.op_type == "Conv" for node in network.graph.node):
        raise DataError(f"{model}: holds no convolution, so int8 gains nothing")
    return network


def _quantize(prepared: Path, made: Path, reader: CalibrationDataReader, engine: str) -> None:
    symmetric = engine == "tensorrt"
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it warns of steps that were taken
    try:
        quantize_static(
            prepared,
            made,
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=last_convolutions(onnx.load(prepared)),
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},
        )
    finally:
        logging.getLogger().setLevel(level)


def _metadata(network: Any, model: Path, description: str) -> dict[str, str]:
    properties = {item.key: item.value for item in network.metadata_props}
    return properties | {
        "precision": "int8",
        "quantized_from": file_sha256(model),
        "calibration": description,
    }


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands one tensor after the other to the quantiser."""

    def __init__(self, input_name: str, tensors: Iterable[Float32Array]) -> None:
        self._input_name = input_name
        self._tensors = iter(tensors)

    def get_next(self) -> dict[str, Float32Array] | None:
        """Return the next input, or None after the last one."""
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._input_name: tensor}
