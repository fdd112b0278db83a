# SPDX-License-Identifier: Apache-2.0
"""The engine of a model: found where it fits, built where it does not, and said why."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.backends.tensorrt.build import MIB, build_in_child, workspace_bytes
from armseg_ros.backends.tensorrt.builder import BuildRequest
from armseg_ros.backends.tensorrt.engine_file import (
    EngineFile,
    read_engine,
    write_atomic,
    write_engine,
)
from armseg_ros.backends.tensorrt.engine_key import EngineKey
from armseg_ros.backends.tensorrt.environment import Device, Environment
from armseg_ros.backends.tensorrt.lock import exclusive
from armseg_ros.backends.tensorrt.onnx_model import PRECISIONS, prepare
from armseg_ros.backends.tensorrt.selftest import make_reference
from armseg_ros.config import require_range
from armseg_ros.errors import BackendError, ConfigError

FOLDER_VARIABLE = "ARMSEG_ENGINES"
DEFAULT_LEVEL = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How an engine is built and where it lies.

    Attributes:
        precision: ``fp16``, ``fp32``, ``int8``, or ``auto``: see ``onnx_model.prepare``.
        rebuild: ``auto`` builds what is missing or does not fit; ``never`` refuses instead;
            ``always`` builds whatever is there, which stays where the build fails.
        folder: Of the engines; None takes ``engine_folder()``.
        network_size: Side of the square input of a model with dynamic axes.
        optimization_level: Of the builder, 0..5; None takes an engine of any, and builds at 3.
        workspace_mib: Most scratch memory of a layer in MiB; 0 chooses by the memory that is free.
    """

    precision: str = "auto"
    rebuild: Literal["auto", "never", "always"] = "auto"
    folder: Path | None = None
    network_size: int = 640
    optimization_level: int | None = None
    workspace_mib: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BackendError(
                f"TensorRT does not compute in {self.precision!r} here; use one of "
                f"{', '.join(PRECISIONS)}"
            )
        if self.rebuild not in ("auto", "never", "always"):
            raise ConfigError(
                f"rebuild is {self.rebuild!r}, but must be 'auto', 'never' or 'always'"
            )
        if self.optimization_level is not None:
            require_range("optimization_level", self.optimization_level, 0, 5)
        require_range("workspace_mib", self.workspace_mib, 0, 1 << 20)


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """Whoever follows a build.

    Attributes:
        say: Called with sentences for people.
        progress: Called with the fraction that is done, 0..1.
        stop: Set to cancel.
    """

    say: Callable[[str], None]
    progress: Callable[[float], None]
    stop: threading.Event = field(default_factory=threading.Event)


def log_listener() -> Listener:
    """Write sentences, and every tenth of the progress, to the log."""
    reached = 0

    def progress(fraction: float) -> None:
        nonlocal reached
        if int(fraction * 10) > reached:
            reached = int(fraction * 10)
            log.info("building the TensorRT engine: %d %%", reached * 10)

    return Listener(log.info, progress)


def engine_folder() -> Path:
    """Where engines lie: ``$ARMSEG_ENGINES``, or the user's cache. Never /tmp, which is emptied."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "armseg_ros" / "engines"


def engine_path(model: Path, settings: BuildSettings) -> Path:
    """Name the engine of a model: one per place of the model and precision."""
    place = sha256(str(model.resolve()).encode()).hexdigest()[:8]
    folder = settings.folder or engine_folder()
    return folder / f"{model.stem}-{settings.precision}-{place}.engine"


def ensure_engine(
    model: Path,
    environment: Environment,
    settings: BuildSettings,
    listener: Listener,
    api: str = "tensorrt",
) -> EngineFile:
    """Read the engine of a model, or build it.

    Args:
        model: An ONNX file.
        environment: What this machine has; it was checked with ``require``.
        settings: How and where.
        listener: Told why an engine is built, and how far it is.
        api: Name of the module that builds.

    Raises:
        BackendError: It cannot be built, or does not fit and must not be built.
    """
    path = engine_path(model, settings)
    digest = file_sha256(model)
    engine, reason = find_engine(path, digest, environment, settings)
    if engine is not None:
        return engine
    if settings.rebuild == "never":
        raise BackendError(
            f"{path}: {reason}, and rebuild is 'never'; run: armseg engine build {model}"
        )

    def waiting() -> None:
        listener.say(f"{model}: another process builds its engine; waiting for it")

    with exclusive(path.with_suffix(".lock"), listener.stop, waiting):
        engine, reason = find_engine(path, digest, environment, settings)
        if engine is None:
            listener.say(
                f"{path}: {reason}; building it from {model}, which can take ten minutes and more"
            )
            engine = build_engine(model, digest, environment, settings, listener, api)
            write_engine(path, engine)
            listener.say(f"{path}: written, {len(engine.plan) / 1e6:.1f} MB")
    return engine


def find_engine(
    path: Path, onnx_sha256: str, environment: Environment, settings: BuildSettings
) -> tuple[EngineFile | None, str]:
    """Read an engine if it fits; else None, and why not in one clause."""
    if settings.rebuild == "always":
        return None, "a new engine was asked for"
    if not path.exists():
        return None, "there is no engine yet"
    try:
        engine = read_engine(path)
    except BackendError as error:
        return None, str(error).removeprefix(f"{path}: ")
    if engine.key is None:
        return None, "the engine does not say what it was built for"
    precision = engine.key.precision if settings.precision == "auto" else settings.precision
    level = settings.optimization_level
    if level is None:
        level = engine.key.optimization_level
    wanted = make_key(onnx_sha256, environment, precision, level, engine.key.network_hw)
    if engine.dynamic:
        wanted = replace(wanted, network_hw=(settings.network_size,) * 2)
    mismatch = engine.key.mismatch(wanted)
    return (engine, "") if mismatch is None else (None, f"the engine {mismatch}")


def make_key(
    onnx_sha256: str,
    environment: Environment,
    precision: str,
    optimization_level: int,
    network_hw: tuple[int, int],
) -> EngineKey:
    """Describe the engine that this machine wants."""
    device = _device(environment)
    major, minor = device.compute_capability
    return EngineKey(
        onnx_sha256=onnx_sha256,
        tensorrt=environment.tensorrt or "",
        gpu=device.name,
        compute_capability=f"{major}.{minor}",
        multiprocessors=device.multiprocessors,
        driver=environment.driver or 0,
        precision=precision,
        network_hw=network_hw,
        optimization_level=optimization_level,
    )


def build_engine(
    model: Path,
    onnx_sha256: str,
    environment: Environment,
    settings: BuildSettings,
    listener: Listener,
    api: str = "tensorrt",
) -> EngineFile:
    """Build the engine of a model, with the reference of its self-test and its timing cache.

    Raises:
        BackendError: The model does not fit, or the build failed or was cancelled.
    """
    prepared = prepare(model, settings.precision, settings.network_size)
    reference = make_reference(model, prepared.network_hw)
    level = settings.optimization_level
    if level is None:
        level = DEFAULT_LEVEL
    key = make_key(onnx_sha256, environment, prepared.precision, level, prepared.network_hw)
    timing = _timing_path(key, settings)
    request = BuildRequest(
        onnx=prepared.content,
        network_hw=prepared.network_hw,
        workspace_bytes=settings.workspace_mib * MIB or workspace_bytes(_device(environment)),
        optimization_level=level,
        timing_cache=_read_timing(timing),
    )
    try:
        built = build_in_child(request, listener.progress, listener.stop, api)
    except BackendError as error:
        raise BackendError(f"{model}: {error}") from error
    if built.timing_cache:
        with contextlib.suppress(BackendError):  # what is lost is speed, of the next build
            write_atomic(timing, built.timing_cache)
    return EngineFile(
        plan=built.plan,
        key=key,
        class_names=prepared.class_names,
        dynamic=prepared.dynamic,
        self_test=reference,
    )


def _timing_path(key: EngineKey, settings: BuildSettings) -> Path:
    """Name the timing cache, which fits one GPU and one TensorRT."""
    identity = f"{key.tensorrt} {key.chip} {key.driver}"
    name = f"timing-{sha256(identity.encode()).hexdigest()[:12]}.cache"
    return (settings.folder or engine_folder()) / name


def _read_timing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _device(environment: Environment) -> Device:
    assert environment.device is not None  # Environment.require was asked before
    return environment.device
