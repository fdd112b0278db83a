# SPDX-License-Identifier: Apache-2.0
"""What every inference engine offers, and how one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.errors import BackendError
from armseg_ros.types import Float32Array, RawOutput

BackendName = Literal["auto", "onnxruntime"]
BACKENDS: tuple[BackendName, ...] = ("auto", "onnxruntime")


class Backend(Protocol):
    """One loaded network; used by one thread at a time."""

    @property
    def name(self) -> str:
        """Engine and device, such as ``onnxruntime-cpu``."""

    @property
    def model(self) -> ModelInfo:
        """The model that is loaded."""

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network on a (1, 3, h, w) float32 RGB tensor in 0..1.

        Raises:
            BackendError: The engine failed, or its outputs are not those of a supported head.
        """

    def close(self) -> None:
        """Free the engine; a second call does nothing."""


def open_backend(
    model: Path, backend: str = "auto", threads: int = 0, network_size: int = 640
) -> Backend:
    """Load a model.

    Args:
        model: An ONNX file.
        backend: ``onnxruntime``, or ``auto`` for the best that works here.
        threads: CPU threads of the engine; 0 leaves the choice to it.
        network_size: Side of the square input of a model with dynamic axes, a multiple of 32;
            a model of fixed size ignores it.

    Raises:
        BackendError: The file is missing or damaged, the engine is not installed, or the network
            is not a supported one.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend {backend!r} is unknown; use one of {', '.join(BACKENDS)}")
    if not model.is_file():
        raise BackendError(f"{model}: no such model file; give the path of an ONNX file")
    from armseg_ros.backends.onnx import OnnxBackend

    return OnnxBackend(model, threads=threads, network_size=network_size)
