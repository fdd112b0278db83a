# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the backend that works everywhere."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from armseg_ros.backends.model_info import ModelInfo, file_sha256
from armseg_ros.errors import BackendError
from armseg_ros.heads import read_outputs
from armseg_ros.types import Float32Array, RawOutput

INPUT_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxBackend:
    """A YOLOv5-seg or YOLOv8/11-seg export in ONNX Runtime."""

    def __init__(self, model: Path, *, threads: int = 0, network_size: int = 640) -> None:
        """Load the file and run it once, so that a foreign network is refused here and now.

        Raises:
            BackendError: The file is damaged, or the network is not a supported one.
        """
        self._session: onnxruntime.InferenceSession | None = _open_session(model, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in INPUT_DTYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise BackendError(f"{model}: expected one float image input, found {found}")
        self._input_name = inputs[0].name
        self._dtype = INPUT_DTYPES[inputs[0].type]
        self._model = ModelInfo(
            path=model,
            sha256=file_sha256(model),
            network_hw=_network_hw(inputs[0].shape, network_size, model),
            class_names=_class_names(self._session, model),
        )
        try:
            self.infer(np.zeros((1, 3, *self._model.network_hw), np.float32))
        except BackendError as error:
            raise BackendError(f"{model}: {error}") from error

    @property
    def name(self) -> str:
        """``onnxruntime-cpu``."""
        return "onnxruntime-cpu"

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
            raise BackendError(f"ONNX Runtime failed: {_one_line(error)}") from error
        class_count = len(self._model.class_names) or None
        return read_outputs(outputs, self._model.network_hw, class_count)

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
            f"{model}: not a model that ONNX Runtime can load ({_one_line(error)}); "
            "export it again or copy it again"
        ) from error


def _network_hw(shape: list[Any], network_size: int, model: Path) -> tuple[int, int]:
    """Read the input size; symbolic height and width become ``network_size``."""
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise BackendError(f"{model}: input has shape {shape}, expected [1, 3, height, width]")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise BackendError(f"{model}: input has batch {shape[0]}, export it with batch 1")
    height, width = (side if isinstance(side, int) else network_size for side in shape[2:])
    if height % 32 or width % 32 or min(height, width) < 32:
        raise BackendError(f"{model}: input is {height}x{width}, sides must be multiples of 32")
    return height, width


def _class_names(session: onnxruntime.InferenceSession, model: Path) -> tuple[str, ...]:
    """Read ``names`` from the metadata: the Python text of a dict or list of names."""
    text = session.get_modelmeta().custom_metadata_map.get("names")
    if text is None:
        return ()
    try:
        names = ast.literal_eval(text)
        if isinstance(names, dict):
            names = [names[index] for index in range(len(names))]
        return tuple(str(name) for name in names)
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise BackendError(
            f"{model}: metadata 'names' is {text[:80]!r}, expected a list of class names"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
