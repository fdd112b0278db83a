# SPDX-License-Identifier: Apache-2.0
"""What every inference engine offers, and how one is opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from armseg_ros.errors import BackendError
from armseg_ros.types import Float32Array, RawOutput

BackendName = Literal["auto", "onnxruntime"]
BACKENDS: tuple[BackendName, ...] = ("auto", "onnxruntime")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model file.

    Attributes:
        path: The file.
        sha256: Hash of the file, 64 hexadecimal digits.
        network_hw: Height and width of the network input in pixels.
        class_names: Names by class id; empty where the model does not say.
    """

    path: Path
    sha256: str
    network_hw: tuple[int, int]
    class_names: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """File name without ending, and the start of its hash: ``name@0123456789ab``."""
        return f"{self.path.stem}@{self.sha256[:12]}"


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


def file_sha256(path: Path) -> str:
    """Hash a file; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
