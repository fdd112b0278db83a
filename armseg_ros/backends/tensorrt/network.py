# SPDX-License-Identifier: Apache-2.0
"""A deserialised engine with its buffers: one input, rows, prototypes and perhaps features."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from armseg_ros.backends.tensorrt.graph import CudaGraph
from armseg_ros.backends.tensorrt.messages import LastMessages, make_logger
from armseg_ros.errors import BackendError

WARM_UP_RUNS = 5  # the first ones load kernels and set up memory
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of an engine.

    Attributes:
        name: Of the ONNX file.
        shape: Without open sides.
        dtype: float32 or float16.
        address: Of its memory on the GPU.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    address: int

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


class Network:
    """Runs an engine on the device of this thread."""

    def __init__(self, api: Any, device: Any, plan: bytes) -> None:
        """Deserialise, allocate, warm up and capture a graph.

        Args:
            api: The module ``tensorrt``.
            device: A ``CudaDevice`` of this thread.
            plan: The serialised engine.

        Raises:
            BackendError: TensorRT refuses the plan, or it is not that of a segmenter.
        """
        self._device = device
        self._messages = LastMessages()
        self._runtime, self._engine = deserialise(api, plan, self._messages)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(
                f"TensorRT cannot make an execution context ({self._messages.reason()}); "
                "most often the memory of the GPU is full"
            )
        inputs, self.outputs = self._allocate(api)
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise BackendError(f"the engine has inputs {inputs}, expected one image")
        self.input = inputs[0]
        self._graph: CudaGraph | None = None

    @property
    def network_hw(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return self.input.shape[2], self.input.shape[3]

    @property
    def uses_graph(self) -> bool:
        """Whether a run is one launch."""
        return self._graph is not None

    def warm_up(self) -> None:
        """Run until times are steady, then capture a graph; without one, say why in the log.

        Raises:
            BackendError: The engine does not run.
        """
        for _ in range(WARM_UP_RUNS):
            self._enqueue()
            self._device.synchronize()
        try:
            graph = CudaGraph(self._device.stream_handle, self._enqueue)
            try:
                graph.launch()
                self._device.synchronize()
            except BaseException:
                graph.close()
                raise
        except (BackendError, OSError) as error:
            log.info("no CUDA graph, layers are launched one by one: %s", error)
        else:
            self._graph = graph

    def enqueue(self) -> None:
        """Run the engine, in the order of the stream.

        Raises:
            BackendError: It refuses.
        """
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def close(self) -> None:
        """Free graph, context, engine and runtime, in this order and before the device."""
        if self._graph is not None:
            with contextlib.suppress(BackendError):  # after an error of CUDA nothing can be freed
                self._graph.close()
            self._graph = None
        self._context = None
        self._engine = None
        self._runtime = None

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._device.stream_handle):
            raise BackendError(f"TensorRT failed to run the engine: {self._messages.reason()}")

    def _allocate(self, api: Any) -> tuple[list[Tensor], list[Tensor]]:
        types: dict[Any, np.dtype[Any]] = {
            api.DataType.FLOAT: np.dtype(np.float32),
            api.DataType.HALF: np.dtype(np.float16),
        }
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(int(side) for side in self._engine.get_tensor_shape(name))
            dtype = types.get(self._engine.get_tensor_dtype(name))
            if dtype is None or min(shape) < 1:
                raise BackendError(
                    f"tensor {name} of the engine has shape {shape} and type "
                    f"{self._engine.get_tensor_dtype(name)}, expected fixed sides and float"
                )
            size = int(np.prod(shape)) * dtype.itemsize
            tensor = Tensor(name, shape, dtype, self._device.allocate(size))
            if not self._context.set_tensor_address(name, tensor.address):
                raise BackendError(f"TensorRT refuses the memory of {name}")
            is_input = self._engine.get_tensor_mode(name) == api.TensorIOMode.INPUT
            (inputs if is_input else outputs).append(tensor)
        return inputs, outputs


def deserialise(api: Any, plan: bytes, messages: LastMessages) -> tuple[Any, Any]:
    """Make runtime and engine of a plan.

    Only after a driver was seen to work: TensorRT ends the process otherwise.

    Raises:
        BackendError: TensorRT refuses it; the message has its reason, which its call has not.
    """
    runtime = api.Runtime(make_logger(api, messages))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BackendError(
            f"TensorRT refuses the engine ({messages.reason()}); it was built by another version "
            "or for another GPU, or is damaged: build it here with armseg engine build --force"
        )
    return runtime, engine
