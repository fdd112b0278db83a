# SPDX-License-Identifier: Apache-2.0
"""TensorRT on NVIDIA GPUs, from Jetson Orin to desktop cards.

Nothing here imports tensorrt or pycuda before a child process has seen that they work: TensorRT's
runtime ends the process that makes one without a driver.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from armseg_ros.backends.base import ENGINE_SUFFIXES, Backend
from armseg_ros.backends.tensorrt.environment import ADVICE, Environment, look
from armseg_ros.errors import BackendError

if TYPE_CHECKING:
    from armseg_ros.backends.tensorrt.engine import BuildSettings, Listener
    from armseg_ros.backends.tensorrt.engine_file import EngineFile


def open_tensorrt(
    model: Path, settings: BuildSettings | None = None, listener: Listener | None = None
) -> Backend:
    """Load a model in TensorRT, building its engine where there is none that fits.

    Without the Python package this answers at once; else a child process looks at the driver,
    which takes about a quarter of a second where there is none.

    Args:
        model: An ONNX file, or an engine file (``.engine``, ``.plan``, ``.trt``).
        settings: Of the engine; None takes the defaults.
        listener: Follows a build; None writes to the log.

    Raises:
        BackendError: One sentence: why it cannot work here, or what is wrong with the model.
    """
    if importlib.util.find_spec("tensorrt") is None:
        raise BackendError(
            f"TensorRT cannot run here: the Python package tensorrt is not there; "
            f"{ADVICE['tensorrt']}"
        )
    environment = look()
    environment.require()
    from armseg_ros.backends.model_info import file_sha256
    from armseg_ros.backends.tensorrt.engine import BuildSettings, ensure_engine, log_listener

    settings = settings or BuildSettings()
    if model.suffix in ENGINE_SUFFIXES:
        engine = _read_ready_engine(model, environment)
    else:
        engine = ensure_engine(model, environment, settings, listener or log_listener())
    digest = engine.key.onnx_sha256 if engine.key else file_sha256(model)
    return _start(model, digest, engine, environment)


def _read_ready_engine(path: Path, environment: Environment) -> EngineFile:
    """Read an engine that was named itself; it cannot be built again without its model."""
    from armseg_ros.backends.tensorrt.engine_file import read_engine
    from armseg_ros.backends.tensorrt.inspection import fit

    engine = read_engine(path)
    if engine.key is not None and (verdict := fit(engine, environment)) != "fits":
        raise BackendError(f"{path}: {verdict}; give the ONNX model, whose engine is built here")
    return engine


def _start(model: Path, sha256: str, engine: EngineFile, environment: Environment) -> Backend:
    """Open the session; from here on this process holds a CUDA context."""
    from armseg_ros.backends.tensorrt.backend import TensorRtBackend, describe_model
    from armseg_ros.backends.tensorrt.session import Session

    device = environment.require()
    precision = engine.key.precision if engine.key else ""
    described = describe_model(model, sha256, engine.class_names, precision)

    def open_session() -> Session:
        import tensorrt

        from armseg_ros.backends.tensorrt.device import CudaDevice

        return Session(
            tensorrt, CudaDevice(), engine.plan, device.compute_capability, described.class_count
        )

    try:
        return TensorRtBackend(open_session, described, engine.self_test)
    except BackendError as error:
        raise BackendError(f"{model}: {error}") from error
