# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: bfloat16 where the processor has it, and quantised models."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from armseg_ros.backends.base import EngineSettings, try_out
from armseg_ros.backends.model_info import (
    ModelInfo,
    check_int8,
    file_sha256,
    read_class_names,
    read_network_hw,
)
from armseg_ros.errors import BackendError, one_line
from armseg_ros.heads import read_outputs
from armseg_ros.types import Float32Array, RawOutput

DEVICE = "CPU"
TELEMETRY = "openvino_telemetry"
# OpenVINO's own choice of auto, and of the float layers of a quantised model, is the same.
HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
INPUT_DTYPES = (np.float32, np.float16)


class OpenVinoBackend:
    """A YOLOv5-seg or YOLOv8/11-seg export in OpenVINO."""

    def __init__(self, model: Path, settings: EngineSettings) -> None:
        """Load the file and run it once, so that a foreign network is refused here and now.

        Raises:
            BackendError: OpenVINO is not installed, it cannot read the file, the network is not a
                supported one, or this processor does not compute in what the settings ask for.
        """
        core = _open_core()
        network = _read_network(core, model)
        self._model = _describe(network, model, settings.network_size)
        check_int8(self._model, settings.precision)
        compiled = _compile(core, network, self._model, settings)
        self._dtype = compiled.input(0).get_element_type().to_dtype()
        self._request: Any = compiled.create_infer_request()
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self._precision = {short: name for name, short in HINTS.items()}.get(hint, hint)
        try_out(self)

    @property
    def name(self) -> str:
        """Such as ``openvino-fp32``; ``openvino-int8`` for a quantised model."""
        return f"openvino-{'int8' if self._model.precision == 'int8' else self._precision}"

    @property
    def model(self) -> ModelInfo:
        """The model that is loaded."""
        return self._model

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network; see ``Backend.infer``."""
        if self._request is None:
            raise BackendError(f"{self._model.path}: the backend is closed")
        try:
            # The outputs are copies: the next call writes over the engine's own.
            found = self._request.infer({0: tensor.astype(self._dtype, copy=False)})
        except Exception as error:  # RuntimeError and its own, all with a page of C++ in them
            raise BackendError(f"OpenVINO failed: {one_line(error)}") from error
        model = self._model
        return read_outputs(list(found.values()), model.network_hw, model.class_count)

    def close(self) -> None:
        """Free the network."""
        self._request = None


def _open_core() -> Any:
    # Importing OpenVINO tells its makers over the network, from a thread that may hold up the end
    # of the process; without this package it does not.
    sys.modules.setdefault(TELEMETRY, cast(Any, None))
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"OpenVINO cannot be imported ({one_line(error)}): pip install 'armseg_ros[openvino]'"
        ) from error
    try:
        return _make_core()
    except Exception as error:  # such as its plugin for this processor, left out of a package
        raise BackendError(
            f"OpenVINO cannot start ({one_line(error)}): install it again with pip install "
            "'armseg_ros[openvino]'"
        ) from error


@cache
def _make_core() -> Any:
    """Make the one core of this process.

    Each core gives its thread a signal stack of its own, and takes back the former one at its end.
    Cores that do not end in the order of their starts so leave a stack that was freed, and the
    next signal with a Python handler, Ctrl-C for one, is a segmentation fault.
    """
    import openvino

    core = openvino.Core()
    core.get_property(DEVICE, "FULL_DEVICE_NAME")  # loads the plugin
    return core


def _read_network(core: Any, model: Path) -> Any:
    try:
        return core.read_model(str(model))
    except Exception as error:
        raise BackendError(
            f"{model}: not a model that OpenVINO can read ({one_line(error)}); "
            "export it again, copy it again, or take backend onnxruntime"
        ) from error


def _describe(network: Any, model: Path, network_size: int) -> ModelInfo:
    """Check the input, fix its size, and read the metadata."""
    dtypes = [port.get_element_type().to_dtype() for port in network.inputs]
    if len(dtypes) != 1 or dtypes[0] not in INPUT_DTYPES:
        found = ", ".join(str(port) for port in network.inputs)
        raise BackendError(f"{model}: expected one float image input, found {found}")
    port = network.input(0)
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise BackendError(f"{model}: its input has no shape; export it with one")
    axes = [axis.get_length() if axis.is_static else None for axis in shape]
    hw = read_network_hw(axes, network_size, model)
    if None in axes:
        try:
            network.reshape({port: [1, 3, *hw]})
        except Exception as error:
            raise BackendError(
                f"{model}: OpenVINO cannot run it at {hw[0]}x{hw[1]}: {one_line(error)}"
            ) from error
    return ModelInfo(
        path=model,
        sha256=file_sha256(model),
        network_hw=hw,
        class_names=read_class_names(_metadata(network, "names", model), model),
        precision=_metadata(network, "precision", model) or "",
    )


def _metadata(network: Any, key: str, model: Path) -> str | None:
    """Read one of the metadata properties of an ONNX file."""
    path = ["framework", key]  # where OpenVINO keeps them
    try:
        return str(network.get_rt_info(path).astype(str)) if network.has_rt_info(path) else None
    except UnicodeDecodeError as error:
        raise BackendError(f"{model}: its metadata {key!r} is no text; export it again") from error


def _compile(core: Any, network: Any, model: ModelInfo, settings: EngineSettings) -> Any:
    precision = settings.precision
    capable = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    if precision in HINTS and precision.upper() not in capable:
        processor = core.get_property(DEVICE, "FULL_DEVICE_NAME")
        raise BackendError(f"this processor ({processor}) has no {precision}; use precision fp32")
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": settings.threads,
        "ENABLE_CPU_PINNING": False,  # pins what other engines start later, too
    }
    if precision in HINTS:
        options["INFERENCE_PRECISION_HINT"] = HINTS[precision]
    elif model.precision == "int8":  # bf16 gains nothing there, and can be wrong
        options["INFERENCE_PRECISION_HINT"] = HINTS["fp32"]
    try:
        return core.compile_model(network, DEVICE, options)
    except Exception as error:
        raise BackendError(
            f"{model.path}: OpenVINO cannot compile it: {one_line(error)}"
        ) from error
