# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs through the driver's C interface, which pycuda leaves out.

At batch 1 the launches of some hundred layers take longer than the layers; a graph is one launch.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

from armseg_ros.backends.tensorrt.probe import DRIVER_LIBRARY
from armseg_ros.errors import BackendError

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads go on as they like


class CudaGraph:
    """What a stream did once, to be done again; of the thread that owns the stream's context."""

    def __init__(self, stream: int, enqueue: Callable[[], object], library: Any = None) -> None:
        """Capture.

        Args:
            stream: Address of a stream that is not the default one, idle.
            enqueue: Puts the work on the stream, with addresses that stay the same.
            library: The driver, None for the installed one.

        Raises:
            BackendError: The driver cannot capture this work; the stream is usable as before.
        """
        self._library = library or ctypes.CDLL(DRIVER_LIBRARY)
        self._stream = ctypes.c_void_p(stream)
        graph, self._executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            with contextlib.suppress(BackendError):
                self._call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
                self._call("cuGraphDestroy", graph)
            raise
        self._call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        try:
            executable = ctypes.byref(self._executable)
            self._call("cuGraphInstantiateWithFlags", executable, graph, ctypes.c_ulonglong(0))
        finally:
            self._call("cuGraphDestroy", graph)

    def launch(self) -> None:
        """Do it again, in the order of the stream.

        Raises:
            BackendError: The driver refuses.
        """
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free the graph."""
        if self._executable.value:
            self._call("cuGraphExecDestroy", self._executable)
            self._executable = ctypes.c_void_p()

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError as error:
            raise BackendError(
                f"the driver is too old for CUDA graphs: it has no {name}"
            ) from error
        if code != 0:
            raise BackendError(f"{name} failed with error {code}")
