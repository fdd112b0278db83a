# SPDX-License-Identifier: Apache-2.0
"""A GPU made of NumPy memory, kernels by g++ and ONNX Runtime, with the faults of a real one.

It stands in for pycuda and TensorRT where neither can run: the session's own code, its buffers, the
order of its calls and the kernels are real, the speed is not.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from backends.tensorrt.on_cpu import call

MAGIC = b"ftrt"
NUMBERS = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF"}


class PretendedDevice:
    """Has the methods of ``CudaDevice``; ``log`` has what was done, ``live`` what is allocated."""

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.log: list[str] = []
        self.live: dict[int, np.ndarray] = {}
        self.fail_at = ""
        self.objects: weakref.WeakSet[Any] = weakref.WeakSet()  # of TensorRT, in this context
        self.outlived = 0  # of them when it was given back
        self.stream_handle = 77

    def _did(self, what: str) -> None:
        assert threading.get_ident() == self.owner, "another thread"
        self.log.append(what)
        if what == self.fail_at:
            raise RuntimeError(f"{what}: an illegal memory access was encountered")

    def load_kernels(self, images: list[tuple[str, bytes]]) -> str:
        self._did("load")
        return images[0][0]

    def allocate(self, size: int) -> int:
        self._did("allocate")
        array = np.full(max(1, size), 0xA5, np.uint8)
        self.live[array.ctypes.data] = array
        return array.ctypes.data

    def free(self, address: int) -> None:
        self._did("free")
        del self.live[address]

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        self._did("pinned")
        return np.empty(shape, dtype)

    def upload(self, address: int, array: np.ndarray) -> None:
        self._did("upload")
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, array: np.ndarray, address: int) -> None:
        self._did("download")
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def clear(self, address: int, size: int) -> None:
        self._did("clear")
        ctypes.memset(address, 0, size)

    def launch(self, launch: Any) -> None:
        self._did(launch.kernel)
        call(launch)

    def event(self) -> object:
        return object()

    def record(self, _: object) -> None:
        self._did("record")

    def milliseconds(self, *_: object) -> float:
        return 1.5

    def synchronize(self) -> None:
        self._did("synchronize")

    def close(self) -> None:
        self._did("close")
        self.outlived = len(self.objects)
        self.live.clear()


def tensorrt_of(device: PretendedDevice) -> Any:
    """Make a module whose engines are ``ftrt`` and an ONNX file."""

    class ILogger:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3, VERBOSE=4)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger
            device.objects.add(self)

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            if not plan.startswith(MAGIC):
                self.logger.log(4, "Loaded engine size: 0 MiB")
                self.logger.log(1, "Serialization assertion stdVersionRead ==\n kVERSION failed")
                return None
            return Engine(plan[len(MAGIC) :])

    class Engine:
        def __init__(self, onnx: bytes) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = onnxruntime.InferenceSession(onnx, options)
            self.tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
            self.num_io_tensors = len(self.tensors)
            device.objects.add(self)

        def get_tensor_name(self, index: int) -> str:
            return self.tensors[index].name

        def _tensor(self, name: str) -> Any:
            return next(tensor for tensor in self.tensors if tensor.name == name)

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(self._tensor(name).shape)

        def get_tensor_dtype(self, name: str) -> str:
            return NUMBERS[self._tensor(name).type]

        def get_tensor_mode(self, name: str) -> str:
            return "INPUT" if name in [t.name for t in self.session.get_inputs()] else "OUTPUT"

        def create_execution_context(self) -> Any:
            return Context(self)

    class Context:
        def __init__(self, engine: Engine) -> None:
            self.engine = engine
            self.addresses: dict[str, int] = {}
            device.objects.add(self)

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream: int) -> bool:
            device._did("execute")
            if device.fail_at == "refusal":
                return False
            assert stream == device.stream_handle
            given = self.engine.session.get_inputs()[0]
            dtype = np.float32 if given.type == "tensor(float)" else np.float16
            size = int(np.prod(given.shape)) * np.dtype(dtype).itemsize
            image = np.frombuffer(ctypes.string_at(self.addresses[given.name], size), dtype)
            names = [output.name for output in self.engine.session.get_outputs()]
            answers = self.engine.session.run(names, {given.name: image.reshape(given.shape)})
            for name, answer in zip(names, answers, strict=True):
                answer = np.ascontiguousarray(answer)
                ctypes.memmove(self.addresses[name], answer.ctypes.data, answer.nbytes)
            return True

    return SimpleNamespace(
        ILogger=ILogger,
        Runtime=Runtime,
        DataType=SimpleNamespace(FLOAT="FLOAT", HALF="HALF"),
        TensorIOMode=SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT"),
    )
