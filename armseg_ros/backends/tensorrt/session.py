# SPDX-License-Identifier: Apache-2.0
"""One picture through the GPU: upload, letterbox, network, selection of rows, download.

Everything here runs in the thread that owns the device. A call ends with the results in memory, so
one pinned slot for the picture is enough: the next picture is copied when the last is done with.
"""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.backends.base import FrameAnswer
from armseg_ros.backends.tensorrt.images import read_images
from armseg_ros.backends.tensorrt.launches import (
    ENCODINGS,
    Head,
    Selection,
    kernel_suffix,
    letterbox_launch,
    select_launch,
)
from armseg_ros.backends.tensorrt.network import Network, Tensor
from armseg_ros.errors import BackendError
from armseg_ros.heads import read_outputs
from armseg_ros.letterbox import Letterbox
from armseg_ros.types import Float32Array, RawOutput, Uint8Array

CAPACITY = 4096  # rows that pass; more are fetched as the whole answer
FIRST_ROWS = 512  # fetched with their count, which saves a wait in nearly every frame
STRIDES = (8, 16, 32)


class Session:
    """An engine, its kernels and its buffers."""

    def __init__(
        self,
        api: Any,
        device: Any,
        plan: bytes,
        compute_capability: tuple[int, int],
        class_count: int | None,
    ) -> None:
        """Load engine and kernels, and run both until times are steady.

        Args:
            api: The module ``tensorrt``.
            device: A ``CudaDevice`` of this thread; closed with the session.
            plan: The serialised engine.
            compute_capability: Of the GPU.
            class_count: What the metadata of the model says; None where they do not.

        Raises:
            BackendError: The engine cannot be run, or its outputs are not those of a segmenter.
        """
        self._device = device
        self._class_count = class_count
        self._network: Network | None = None
        try:
            self.image = device.load_kernels(read_images(compute_capability))
            self._network = Network(api, device, plan)
            self.network_hw = self._network.network_hw
            self._input = self._network.input
            self._prepare_outputs()
            self.infer(np.zeros((1, 3, *self.network_hw), np.float32))
            self._network.warm_up()
        except BaseException as error:
            # What failed half-way hangs in the frames, and must not outlive the context.
            traceback.clear_frames(error.__traceback__)
            self.close()
            raise

    @property
    def uses_graph(self) -> bool:
        """Whether the network is one launch."""
        return self._network is not None and self._network.uses_graph

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network on a (1, 3, h, w) float32 tensor and fetch the whole answer."""
        network = self._open()
        self._input_host[...] = tensor
        self._device.upload(self._input.address, self._input_host)
        network.enqueue()
        return self._fetch_all()

    def infer_frame(
        self, image: Uint8Array, encoding: str, letterbox: Letterbox, threshold: float
    ) -> FrameAnswer:
        """Letterbox a picture on the GPU, run the network, and fetch the rows that pass.

        Args:
            image: (H, W) or (H, W, channels) uint8, any strides.
            encoding: One of ``launches.ENCODINGS``.
            letterbox: Geometry.
            threshold: See ``decode.select_candidates``.
        """
        network, device = self._open(), self._device
        start, prepared, end = self._events
        address = self._upload_picture(image)
        device.clear(self._selection.count, np.dtype(np.int32).itemsize)
        device.record(start)
        output = (self._input.address, kernel_suffix(self._input.dtype))
        pitch = image[0].size  # the slot has no gaps between rows
        device.launch(letterbox_launch(address, pitch, encoding, letterbox, output))
        device.record(prepared)
        network.enqueue()
        suffix = kernel_suffix(self._rows.dtype)
        device.launch(
            select_launch(self._rows.address, suffix, self._head, threshold, self._selection)
        )
        device.download(self._count, self._selection.count)
        device.download(self._kept[:FIRST_ROWS], self._selection.rows)
        device.download(self._numbers[:FIRST_ROWS], self._selection.numbers)
        device.download(self._input_host, self._input.address)
        for tensor, host in self._fetched_always:
            device.download(host, tensor.address)
        device.record(end)
        device.synchronize()
        return FrameAnswer(
            raw=self._selected(),
            tensor=self._input_host.astype(np.float32),
            preprocess_ms=device.milliseconds(start, prepared),
            inference_ms=device.milliseconds(prepared, end),
        )

    def close(self) -> None:
        """Free everything, the device last."""
        try:
            if self._network is not None:
                self._network.close()
        finally:
            self._network = None
            self._close_device()

    def _close_device(self) -> None:
        for name in ("_hosts", "_picture", "_kept", "_numbers", "_count", "_input_host", "_events",
                     "_fetched_always"):  # fmt: skip
            self.__dict__.pop(name, None)  # pinned memory must not outlive the context
        if self._device is not None:
            self._device.close()
            self._device = None

    def _prepare_outputs(self) -> None:
        """Find out which output is which, and allocate what the rows that pass need."""
        network, device = self._open(), self._device
        outputs = network.outputs
        self._hosts = [device.pinned(tensor.shape, tensor.dtype) for tensor in outputs]
        self._input_host = device.pinned(self._input.shape, self._input.dtype)
        for host in self._hosts:
            host[...] = 0
        read_outputs(self._hosts, self.network_hw, self._class_count)  # refuses other networks
        self._rows = next(t for t in outputs if len(t.shape) == 3)
        prototypes = next(t for t in outputs if len(t.shape) == 4)
        cells = sum((self.network_hw[0] // s) * (self.network_hw[1] // s) for s in STRIDES)
        self._head = Head.of_shape(self._rows.shape, prototypes.shape[1], cells)
        self._fetched_always: list[tuple[Tensor, npt.NDArray[Any]]] = [
            pair for pair in zip(outputs, self._hosts, strict=True) if pair[0] is not self._rows
        ]
        width = self._head.width
        self._kept = device.pinned((CAPACITY, width), np.float32)
        self._numbers = device.pinned((CAPACITY,), np.int32)
        self._count = device.pinned((1,), np.int32)
        self._selection = Selection(
            rows=device.allocate(self._kept.nbytes),
            numbers=device.allocate(self._numbers.nbytes),
            count=device.allocate(self._count.nbytes),
            capacity=CAPACITY,
        )
        self._picture: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._picture_address = 0
        self._events = tuple(device.event() for _ in range(3))

    def _upload_picture(self, image: Uint8Array) -> int:
        """Copy a picture into the pinned slot, enlarged where need be, and on to the GPU."""
        if image.size > self._picture.size:
            if self._picture_address:
                self._device.free(self._picture_address)
            self._picture = self._device.pinned((image.size,), np.uint8)
            self._picture_address = self._device.allocate(image.size)
        slot = self._picture[: image.size]
        slot.reshape(image.shape)[...] = image
        self._device.upload(self._picture_address, slot)
        return self._picture_address

    def _selected(self) -> RawOutput:
        """Make an answer of the rows that passed, in the order of the network."""
        count = int(self._count[0])
        if count > CAPACITY:
            return self._fetch_all()
        if count > FIRST_ROWS:
            self._device.download(self._kept[:count], self._selection.rows)
            self._device.download(self._numbers[:count], self._selection.numbers)
            self._device.synchronize()
        order = np.argsort(self._numbers[:count])
        others = [host for _, host in self._fetched_always]
        prototypes = next(host for host in others if host.ndim == 4)[0]
        features = next((host[0] for host in others if host.ndim == 2), None)
        return RawOutput(
            self._kept[:count][order],
            prototypes.astype(np.float32),
            None if features is None else features.astype(np.float32),
        )

    def _fetch_all(self) -> RawOutput:
        network = self._open()
        for tensor, host in zip(network.outputs, self._hosts, strict=True):
            self._device.download(host, tensor.address)
        self._device.synchronize()
        copies = [host.copy() for host in self._hosts]
        return read_outputs(copies, self.network_hw, self._class_count)

    def _open(self) -> Network:
        if self._network is None:
            raise BackendError("the TensorRT session is closed")
        return self._network


def require_picture(image: Uint8Array, encoding: str) -> None:
    """Refuse what the kernels do not read; they would go beyond the end of a smaller picture.

    Raises:
        BackendError: The encoding is none of ``launches.ENCODINGS``, or the array is not of it.
    """
    if encoding not in ENCODINGS:
        raise BackendError(f"encoding {encoding!r} is unknown; use one of {', '.join(ENCODINGS)}")
    channels = max(1, ENCODINGS[encoding][0])
    shapes = ((), (1,)) if channels == 1 else ((channels,),)
    if image.dtype != np.uint8 or image.ndim < 2 or image.shape[2:] not in shapes:
        raise BackendError(
            f"a picture of {image.shape} {image.dtype} is not {encoding}, which has {channels} "
            "channels of uint8"
        )
