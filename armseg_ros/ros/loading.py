# SPDX-License-Identifier: Apache-2.0
"""Load a model in a thread of its own, so that whoever waits for it can be told to stop.

An engine may take minutes to build and listens to no signal meanwhile. The thread is a daemon: a
process that ends does not wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armseg_ros.backends.base import Backend, Choice, EngineSettings, choose_backend
from armseg_ros.config import SegmenterConfig
from armseg_ros.errors import ArmsegError, BackendError
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.shipped import open_flags
from armseg_ros.ros.log_bridge import LastMessage
from armseg_ros.ros.managed_node import EndingError
from armseg_ros.segmenter import Segmenter

THREAD_NAME = "model"
ENGINES = "armseg_ros.backends"  # whose log tells how far a build has come
WARM_UPS = 2  # the first runs of an engine allocate its memory and are slower than all later ones


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network that is ready for images.

    Attributes:
        choice: The engine, and why it is no better one; whoever holds this closes it.
        flags: What judges its instances.
        load_s: Seconds from the request until it was loaded.
        warm_up_ms: Milliseconds of the last warm-up run, about what one image takes.
    """

    choice: Choice
    flags: QualityModel
    load_s: float
    warm_up_ms: float

    @property
    def backend(self) -> Backend:
        """The engine."""
        return self.choice.backend

    def segmenter(self, config: SegmenterConfig) -> Segmenter:
        """Make a segmenter of it."""
        return Segmenter(self.backend, config, self.flags)


def choose_by_parameters(values: Mapping[str, Any]) -> Choice:
    """Load the model that a node's parameters name into the engine that they ask for.

    Raises:
        BackendError: It cannot be loaded.
    """
    settings = EngineSettings(values["threads"], precision=values["precision"])
    path = Path(values["model"]).expanduser() if values["model"] else None
    return choose_backend(path, values["backend"], settings)


class Loader:
    """Loads one model at a time; every method may be called from any thread.

    Attributes:
        closed: Whether it was closed.
    """

    def __init__(self, load: Callable[[Mapping[str, Any]], Choice]) -> None:
        """Take the function that opens an engine; it is called in a thread of its own."""
        self._load = load
        self._changed = threading.Condition()
        self._busy_since: float | None = None
        self.closed = False
        self._said = LastMessage()

    @property
    def busy_s(self) -> float | None:
        """Seconds that a model has been loading; None while none is."""
        since = self._busy_since
        return None if since is None else time.monotonic() - since

    @property
    def progress(self) -> str:
        """What the engine said last about the load at hand; may be empty."""
        return self._said.text

    def load(self, values: Mapping[str, Any]) -> LoadedModel:
        """Load and warm a model, and wait for it.

        Raises:
            BackendError: It cannot be loaded, or another one is being loaded.
            EndingError: The loader was closed before it was done.
        """
        with self._changed:
            if self._busy_since is not None:
                raise BackendError("another model is being loaded; wait until it is done")
            self._busy_since = time.monotonic()
        outcome: list[LoadedModel | Exception] = []
        threading.Thread(
            target=self._run, args=(values, outcome), name=THREAD_NAME, daemon=True
        ).start()
        with self._changed:
            self._changed.wait_for(lambda: outcome or self.closed)
            if not outcome:
                raise EndingError("stopped while a model was loading")
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    def close(self) -> None:
        """Let go of whoever waits; what still loads is closed once it is loaded."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _run(self, values: Mapping[str, Any], outcome: list[LoadedModel | Exception]) -> None:
        start = time.monotonic()
        found: LoadedModel | Exception
        try:
            flags = open_flags(values["quality_model"])
            with self._said.listen(ENGINES):
                choice = self._load(values)
                warm_up_ms = _warm_up(choice.backend)
            found = LoadedModel(choice, flags, time.monotonic() - start, warm_up_ms)
        except ArmsegError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - engines raise what they like
            found = BackendError(f"the engine failed: {type(error).__name__}: {error}")
        with self._changed:
            self._busy_since = None
            if self.closed and isinstance(found, LoadedModel):
                found.backend.close()
            outcome.append(found)
            self._changed.notify_all()


def _warm_up(backend: Backend) -> float:
    """Run an empty picture through the network; return the last run's milliseconds."""
    tensor = np.zeros((1, 3, *backend.model.network_hw), np.float32)
    elapsed = 0.0
    for _ in range(WARM_UPS):
        start = time.perf_counter()
        backend.infer(tensor)
        elapsed = time.perf_counter() - start
    return elapsed * 1e3
