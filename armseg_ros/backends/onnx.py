# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the backend that works everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

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

INPUT_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxBackend:
    """A YOLOv5-seg or YOLOv8/11-seg export in ONNX Runtime."""

    def __init__(self, model: Path, settings: EngineSettings) -> None:
        """Load the file and run it once, so that a foreign network is refused here and now.

        Raises:
            BackendError: The file is damaged, the network is not a supported one, or ONNX Runtime
                does not compute in what the settings ask for.
        """
        self._session: onnxruntime.InferenceSession | None = _open_session(model, settings.threads)
        inputs, names, metadata = _declared(self._session, model)
        if len(inputs) != 1 or inputs[0].type not in INPUT_DTYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise BackendError(f"{model}: expected one float image input, found {found}")
        self._input_name = names[0]
        self._dtype = INPUT_DTYPES[inputs[0].type]
        self._model = ModelInfo(
            path=model,
            sha256=file_sha256(model),
            network_hw=read_network_hw(inputs[0].shape, settings.network_size, model),
            class_names=read_class_names(metadata.get("names"), model),
            precision=metadata.get("precision", ""),
        )
        _check_precision(self._model, settings.precision)
        try_out(self)

    @property
    def name(self) -> str:
        """``onnxruntime-cpu``, or ``onnxruntime-int8`` for a quantised model."""
        return "onnxruntime-int8" if self._model.precision == "int8" else "onnxruntime-cpu"

    @property
    def model(self) -> ModelInfo:
        """The model that is loaded."""
        return self._model

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network; see ``Backend.infer``."""
        if self._session is None:
            raise BackendError(f"{self._model.path}: the backend is closed")
        feed = {self._input_name: tensor.astype(self._dtype, copy=False)}
        try:
            outputs = self._session.run(None, feed)
        except Exception as error:  # the engine has a dozen unrelated exception types
            raise BackendError(f"ONNX Runtime failed: {one_line(error)}") from error
        return read_outputs(outputs, self._model.network_hw, self._model.class_count)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _open_session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads win a little on an idle machine and lose several times over on a busy one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BackendError(
            f"{model}: not a model that ONNX Runtime can load ({one_line(error)}); "
            "export it again or copy it again"
        ) from error


def _declared(session: Any, model: Path) -> tuple[list[Any], list[str], dict[str, str]]:
    """Read the inputs, their names and the metadata."""
    try:
        inputs = session.get_inputs()
        names = [str(one.name) for one in inputs]
        return inputs, names, session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise BackendError(
            f"{model}: its names or metadata are no text; export it again"
        ) from error


def _check_precision(model: ModelInfo, precision: str) -> None:
    """Refuse what ONNX Runtime would silently do otherwise; float16 files it computes in fp32."""
    if precision in ("fp16", "bf16"):
        raise BackendError(
            f"ONNX Runtime computes in fp32 or int8 on a CPU, not in {precision}; "
            "OpenVINO does bf16, TensorRT fp16"
        )
    check_int8(model, precision)
