# SPDX-License-Identifier: Apache-2.0
"""All of pycuda that is used: context, stream, memory, kernels and events of one GPU.

TensorRT works in the primary context, so this retains that one and never makes another. pycuda
keeps a stack of contexts per thread and aborts the process where a thread ends with a context on
it: one thread makes the device, uses it and closes it, and every method checks that.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pycuda.driver as cuda

from armseg_ros.backends.tensorrt.launches import Launch
from armseg_ros.errors import BackendError, one_line

FORMATS = {np.uintp: "P", np.int32: "i", np.float32: "f"}  # of struct, in which pycuda packs


class CudaDevice:
    """The first GPU, as the thread that made this sees it."""

    def __init__(self) -> None:
        """Retain the primary context, make it current, and make a stream.

        Raises:
            BackendError: The driver refuses.
        """
        self._owner = threading.get_ident()
        self._memory: list[Any] = []
        self._functions: dict[str, Any] = {}
        self._module: Any = None
        self._stream: Any = None
        try:
            cuda.init()
            self._context = cuda.Device(0).retain_primary_context()
            self._context.push()
        except cuda.Error as error:
            raise BackendError(f"the GPU cannot be used ({one_line(error)})") from error
        try:
            self._stream = cuda.Stream()
        except cuda.Error as error:
            self.close()
            raise BackendError(f"the GPU cannot be used ({one_line(error)})") from error

    @property
    def stream_handle(self) -> int:
        """Address of the stream, for TensorRT and CUDA graphs."""
        self._check_thread()
        return int(self._stream.handle)

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes on the GPU; they are freed with the device."""
        self._check_thread()
        allocation = cuda.mem_alloc(max(1, size))
        self._memory.append(allocation)
        return int(allocation)

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Make an array in page-locked memory, from which copies run beside the CPU."""
        self._check_thread()
        array: npt.NDArray[Any] = cuda.pagelocked_empty(shape, dtype)
        return array

    def free(self, address: int) -> None:
        """Free what ``allocate`` gave."""
        self._check_thread()
        allocation = next(memory for memory in self._memory if int(memory) == address)
        self._memory.remove(allocation)
        allocation.free()

    def upload(self, address: int, array: npt.NDArray[Any]) -> None:
        """Copy a pinned array to the GPU, in the order of the stream."""
        self._check_thread()
        cuda.memcpy_htod_async(address, array, self._stream)

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        """Copy into a pinned array, which holds the values after ``synchronize``."""
        self._check_thread()
        cuda.memcpy_dtoh_async(array, address, self._stream)

    def clear(self, address: int, size: int) -> None:
        """Set bytes to 0, in the order of the stream."""
        self._check_thread()
        cuda.memset_d8_async(address, 0, size, self._stream)

    def load_kernels(self, images: list[tuple[str, bytes]]) -> str:
        """Load the first image that the driver takes, and return its name.

        Raises:
            BackendError: It takes none.
        """
        self._check_thread()
        refusals = []
        for name, image in images:
            try:
                self._module = cuda.module_from_buffer(image)
            except cuda.Error as error:
                refusals.append(f"{name}: {one_line(error)}")
            else:
                return name
        raise BackendError(f"the driver loads none of the kernels ({'; '.join(refusals)})")

    def launch(self, launch: Launch) -> None:
        """Start a kernel, in the order of the stream."""
        self._check_thread()
        function = self._functions.get(launch.kernel)
        if function is None:
            function = self._module.get_function(launch.kernel)
            # Prepared, since pycuda's other way caches by value, and takes 1.0 for 1.
            function.prepare("".join(FORMATS[type(value)] for value in launch.arguments))
            self._functions[launch.kernel] = function
        values = [value.item() for value in launch.arguments]
        function.prepared_async_call(launch.grid, (*launch.block, 1), self._stream, *values)

    def event(self) -> Any:
        """Make an event that ``record`` marks and ``milliseconds`` compares."""
        self._check_thread()
        return cuda.Event()

    def record(self, event: Any) -> None:
        """Let an event happen when the stream has come this far."""
        self._check_thread()
        event.record(self._stream)

    def milliseconds(self, start: Any, end: Any) -> float:
        """Time between two events that have happened."""
        self._check_thread()
        return float(start.time_till(end))

    def synchronize(self) -> None:
        """Wait until the stream has done everything."""
        self._check_thread()
        self._stream.synchronize()

    def close(self) -> None:
        """Free everything and give the context back; the last thing that the thread does here.

        After an error of CUDA every call fails, and the context must come off the stack even so.
        """
        self._check_thread()
        self._functions.clear()
        self._module = None
        while self._memory:
            with contextlib.suppress(cuda.Error):
                self._memory.pop().free()
        self._stream = None
        try:
            cuda.Context.pop()
        finally:
            with contextlib.suppress(cuda.Error):
                self._context.detach()

    def _check_thread(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError("a CUDA call from another thread than the one that owns the context")
