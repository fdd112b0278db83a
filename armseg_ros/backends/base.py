# SPDX-License-Identifier: Apache-2.0
"""What every inference engine offers, and how one is opened."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from armseg_ros.backends.external_data import check_external_data
from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.backends.processor import computes_int8_fast
from armseg_ros.config import require_range
from armseg_ros.errors import BackendError
from armseg_ros.letterbox import Letterbox
from armseg_ros.models import default_model_path, int8_model_path
from armseg_ros.types import Float32Array, RawOutput, Uint8Array

BACKENDS = ("auto", "tensorrt", "openvino", "onnxruntime")  # the fastest first
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")  # files of TensorRT, which no other engine reads
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
MOST_THREADS = 256

log = logging.getLogger(__name__)


class Backend(Protocol):
    """One loaded network; used by one thread at a time."""

    @property
    def name(self) -> str:
        """Engine and what it computes in, such as ``onnxruntime-cpu`` or ``openvino-bf16``."""

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


@dataclass(frozen=True, slots=True, eq=False)
class FrameAnswer:
    """What an engine that also does the letterbox says of one picture.

    Attributes:
        raw: The answer; at least the rows that pass the threshold that was asked for.
        tensor: (1, 3, h, w) float32 input of the network, RGB in 0..1.
        preprocess_ms: Milliseconds of the letterbox, as the device measured them.
        inference_ms: Milliseconds of network and download.
    """

    raw: RawOutput
    tensor: Float32Array
    preprocess_ms: float
    inference_ms: float


@runtime_checkable
class FrameBackend(Protocol):
    """A backend that takes pictures as they are and does the letterbox itself."""

    def infer_frame(self, image: Uint8Array, letterbox: Letterbox, threshold: float) -> FrameAnswer:
        """Run letterbox and network.

        Args:
            image: (H, W, 3) uint8 BGR of ``letterbox.source_hw``.
            letterbox: Geometry, with the network's size.
            threshold: Rows that ``decode.select_candidates`` would drop at it may be left out.

        Raises:
            BackendError: The engine failed.
        """


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine runs a model.

    Attributes:
        threads: CPU threads, 0..256; 0 leaves the choice to the engine.
        network_size: Side of the square input of a model with dynamic axes, a multiple of 32;
            a model of fixed size ignores it.
        precision: What to compute in; ``auto`` is the engine's fastest that keeps the accuracy.
    """

    threads: int = 0
    network_size: int = 640
    precision: str = "auto"

    def __post_init__(self) -> None:
        require_range("threads", self.threads, 0, MOST_THREADS)
        if self.precision not in PRECISIONS:
            raise BackendError(
                f"precision {self.precision!r} is unknown; use one of {', '.join(PRECISIONS)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A loaded network, and why no better engine runs it.

    Attributes:
        backend: The network.
        refused: One sentence for each better engine that does not work here.
    """

    backend: Backend
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say all of it in one line."""
        parts = [f"{self.backend.model.model_id} on {self.backend.name}"]
        return "; ".join([*parts, *(f"not {sentence}" for sentence in self.refused)])


def choose_backend(
    model: Path | None = None, backend: str = "auto", settings: EngineSettings | None = None
) -> Choice:
    """Load a model into the engine that is named, or into the best that works here.

    Args:
        model: An ONNX file; None takes the shipped one, and its int8 version where a CPU engine
            is faster with it. An engine file of TensorRT runs there or nowhere.
        backend: ``tensorrt``, ``openvino``, ``onnxruntime``, or ``auto`` for the first of them
            that works.
        settings: None takes the defaults.

    Raises:
        BackendError: The file is missing or damaged, the engine is not installed, or the network
            is not a supported one.
        ConfigError: The number of threads is out of range.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend {backend!r} is unknown; use one of {', '.join(BACKENDS)}")
    if model is not None:
        check_model_file(model)
        backend = _reader_of(model, backend)
    settings = settings or EngineSettings()
    if backend != "auto":
        return Choice(_open(backend, model, settings))
    refused: list[str] = []
    *engines, last = BACKENDS[1:]
    for engine in engines:
        try:
            return Choice(_open(engine, model, settings), tuple(refused))
        except BackendError as error:
            refused.append(f"{engine}: {error}")
    # The last one works everywhere: where it refuses too, file or settings are at fault.
    return Choice(_open(last, model, settings), tuple(refused))


def open_backend(
    model: Path | None = None,
    backend: str = "onnxruntime",
    threads: int = 0,
    network_size: int = 640,
    *,
    precision: str = "auto",
) -> Backend:
    """Load a model, as ``choose_backend`` does, and log what ``auto`` has chosen and why.

    Args:
        model: An ONNX file; None takes the shipped one.
        backend: As for ``choose_backend``.
        threads: See ``EngineSettings``, as for the next two.
        network_size: Side of the square input of a model with dynamic axes.
        precision: What to compute in.

    Raises:
        BackendError: See ``choose_backend``.
        ConfigError: See ``choose_backend``.
    """
    choice = choose_backend(model, backend, EngineSettings(threads, network_size, precision))
    if backend == "auto":
        log.info("%s", choice)
    return choice.backend


def check_model_file(model: Path) -> None:
    """Refuse a file that is not there, or that keeps weights outside its folder.

    Raises:
        BackendError: It is one of them.
    """
    try:
        found = model.is_file()
    except OSError:  # a name beyond what the file system takes
        found = False
    if not found:
        raise BackendError(f"{str(model)[:300]}: no such model file; give the path of an ONNX file")
    check_external_data(model)


def try_out(backend: Backend) -> None:
    """Run a network on a black picture, so that a foreign one is refused before it is used.

    Raises:
        BackendError: The engine failed, or the outputs are not those of a supported head.
    """
    model = backend.model
    try:
        backend.infer(np.zeros((1, 3, *model.network_hw), np.float32))
    except BackendError as error:
        raise BackendError(f"{model.path}: {error}") from error


def _reader_of(model: Path, backend: str) -> str:
    """Name the backend for a file: of an engine file there is no choice."""
    if model.suffix not in ENGINE_SUFFIXES:
        return backend
    if backend not in ("auto", "tensorrt"):
        raise BackendError(
            f"{model}: is an engine of TensorRT by its name, which {backend} cannot read; give its "
            "ONNX model, or take backend tensorrt"
        )
    return "tensorrt"


def _open(engine: str, model: Path | None, settings: EngineSettings) -> Backend:
    path = model or _shipped_model(engine, settings.precision)
    if engine == "tensorrt":
        from armseg_ros.backends.tensorrt import open_tensorrt
        from armseg_ros.backends.tensorrt.engine import BuildSettings

        size = settings.network_size
        return open_tensorrt(path, BuildSettings(settings.precision, network_size=size))
    if engine == "openvino":
        from armseg_ros.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(path, settings)
    from armseg_ros.backends.onnx import OnnxBackend

    return OnnxBackend(path, settings)


def _shipped_model(engine: str, precision: str) -> Path:
    """Choose among the files of the shipped weights; the int8 one is quantised for CPUs."""
    faster = precision == "auto" and computes_int8_fast()
    if engine != "tensorrt" and (faster or precision == "int8"):
        return int8_model_path()
    return default_model_path()
