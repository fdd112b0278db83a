# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - the parameters are pycuda's
"""The part of ``pycuda.driver`` that is used, with the parameters and the context stack of 2026.1.

Written from the names and parameters of pycuda's wrapper, so that ``device.py`` runs where pycuda
cannot: memory is the CPU's, kernels are those compiled by g++. ``STACK`` has the context stack of
each thread, which pycuda aborts over if a thread ends with something on it.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from types import ModuleType
from typing import Any

import numpy as np
from backends.tensorrt.on_cpu import library

STACK: dict[int, list[Any]] = {}
LIVE: set[int] = set()
REFUSED: set[bytes] = set()  # images that the driver does not take
C_TYPES = {"P": ctypes.c_void_p, "i": ctypes.c_int, "f": ctypes.c_float}


class Error(Exception):
    """Base of pycuda's errors."""


def _require_context() -> None:
    if not STACK.get(threading.get_ident()):
        raise Error("invalid device context")


def init(flags: int = 0) -> None:
    """Start the driver."""


class Context:
    """A primary context."""

    def push(self) -> None:
        STACK.setdefault(threading.get_ident(), []).append(self)

    @staticmethod
    def pop() -> None:
        STACK[threading.get_ident()].pop()

    def detach(self) -> None:
        assert not LIVE, "memory outlives the context"


class Device:
    """A GPU."""

    def __init__(self, number: int) -> None:
        assert number == 0

    def retain_primary_context(self) -> Context:
        return Context()


class DeviceAllocation:
    """Memory of the GPU."""

    def __init__(self, size: int) -> None:
        _require_context()
        assert size > 0
        self._memory = np.full(size, 0xA5, np.uint8)
        LIVE.add(int(self))

    def __int__(self) -> int:
        return self._memory.ctypes.data

    def free(self) -> None:
        _require_context()
        LIVE.remove(int(self))


mem_alloc = DeviceAllocation


class Stream:
    """A queue of work, done at once."""

    def __init__(self, flags: int = 0) -> None:
        _require_context()
        self.handle = 77

    def synchronize(self) -> None:
        _require_context()


class Event:
    """A point in a stream."""

    def __init__(self, flags: int = 0) -> None:
        _require_context()

    def record(self, stream: Stream | None = None) -> Event:
        return self

    def time_till(self, event: Event) -> float:
        return 1.5


def pagelocked_empty(
    shape: tuple[int, ...], dtype: Any, order: str = "C", mem_flags: int = 0
) -> np.ndarray:
    _require_context()
    if np.prod(shape) == 0:
        raise Error("cuMemHostAlloc failed: invalid argument")
    return np.empty(shape, dtype, order)


def memcpy_htod_async(dest: int, src: Any, stream: Stream | None = None) -> None:
    _require_context()
    assert src.flags.c_contiguous
    ctypes.memmove(dest, src.ctypes.data, src.nbytes)


def memcpy_dtoh_async(dest: Any, src: int, stream: Stream | None = None) -> None:
    _require_context()
    assert dest.flags.c_contiguous
    assert dest.flags.writeable
    ctypes.memmove(dest.ctypes.data, src, dest.nbytes)


def memset_d8_async(dest: int, data: int, size: int, stream: Stream | None = None) -> None:
    _require_context()
    ctypes.memset(dest, data, size)


class Function:
    """A kernel."""

    def __init__(self, name: str) -> None:
        self._function = getattr(library(), f"launch_{name}")
        self._format = ""

    def prepare(self, arg_types: str) -> Function:
        self._format = "".join(arg_types)
        return self

    def prepared_async_call(
        self, grid: tuple[int, int], block: tuple[int, int, int], stream: Any, *args: Any
    ) -> None:
        _require_context()
        assert block[2] == 1
        values = struct.unpack(self._format, struct.pack(self._format, *args))
        self._function.argtypes = [ctypes.c_void_p, *(C_TYPES[kind] for kind in self._format)]
        self._function((ctypes.c_int * 4)(*grid, *block[:2]), *values)


class Module:
    """Kernels that were loaded."""

    def get_function(self, name: str) -> Function:
        return Function(name)


def module_from_buffer(
    buffer: bytes, options: tuple[()] = (), message_handler: object = None
) -> Module:
    _require_context()
    if buffer in REFUSED:
        raise Error("cuModuleLoadDataEx failed: no kernel image is available")
    return Module()


def modules() -> dict[str, ModuleType]:
    """Make the entries of ``sys.modules``."""
    package, driver = ModuleType("pycuda"), ModuleType("pycuda.driver")
    names = (
        "Error", "init", "Context", "Device", "mem_alloc", "Stream", "Event", "pagelocked_empty",
        "memcpy_htod_async", "memcpy_dtoh_async", "memset_d8_async", "module_from_buffer",
    )  # fmt: skip
    for name in names:
        setattr(driver, name, globals()[name])
    package.driver = driver
    return {"pycuda": package, "pycuda.driver": driver}
