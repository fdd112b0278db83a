# SPDX-License-Identifier: Apache-2.0
"""The backend: a session in the thread that owns it, self-tested before it is handed out."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armseg_ros.backends.base import FrameAnswer
from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.backends.tensorrt.owner import OwnerThread
from armseg_ros.backends.tensorrt.selftest import make_picture, require_agreement
from armseg_ros.backends.tensorrt.session import Session, require_picture
from armseg_ros.errors import BackendError, EngineLostError, one_line
from armseg_ros.letterbox import Letterbox
from armseg_ros.types import Float32Array, RawOutput, Uint8Array


class TensorRtBackend:
    """A network in TensorRT; any thread may call it, one at a time."""

    def __init__(
        self,
        open_session: Callable[[], Session],
        model: ModelInfo,
        self_test: Mapping[str, Any],
    ) -> None:
        """Open the session in a thread of its own and hold it against its reference.

        Args:
            open_session: Called in the thread that will own the context.
            model: What is known of the model; its size is replaced by that of the engine.
            self_test: The stored reference; empty where the engine file has none.

        Raises:
            BackendError: The engine does not run, or not as its model.
        """
        self._dead = ""
        self._owner: OwnerThread[Session] = OwnerThread(open_session, Session.close)
        atexit.register(self.close)  # a context that is current when its thread dies aborts
        try:
            self._network_hw: tuple[int, int] = self._owner.call(lambda s: s.network_hw)
            if self_test:
                require_agreement(self_test, self.infer(make_picture(self._network_hw)))
        except BaseException:
            self.close()
            raise
        self._model = ModelInfo(
            model.path, model.sha256, self._network_hw, model.class_names, model.precision
        )

    @property
    def name(self) -> str:
        """``tensorrt-fp16``; ``tensorrt`` alone where the engine file does not say."""
        return "-".join(part for part in ("tensorrt", self._model.precision) if part)

    @property
    def model(self) -> ModelInfo:
        """The model that is loaded."""
        return self._model

    @property
    def uses_graph(self) -> bool:
        """Whether the network runs as one CUDA graph."""
        return bool(self._call(lambda session: session.uses_graph))

    def infer(self, tensor: Float32Array) -> RawOutput:
        """Run the network; see ``Backend.infer``."""
        if tensor.shape != (1, 3, *self._network_hw):
            raise BackendError(
                f"the tensor has shape {tensor.shape}, "
                f"the network wants {(1, 3, *self._network_hw)}"
            )
        answer: RawOutput = self._call(lambda session: session.infer(tensor))
        return answer

    def infer_frame(
        self, image: Uint8Array, letterbox: Letterbox, threshold: float, encoding: str = "bgr8"
    ) -> FrameAnswer:
        """Run letterbox and network on the GPU; see ``FrameBackend.infer_frame``."""
        require_picture(image, encoding)
        if letterbox.network_hw != self._network_hw or letterbox.source_hw != image.shape[:2]:
            raise BackendError(
                f"the letterbox is from {letterbox.source_hw} to {letterbox.network_hw}, the "
                f"picture has {image.shape[:2]} and the network {self._network_hw}"
            )
        answer: FrameAnswer = self._call(
            lambda session: session.infer_frame(image, encoding, letterbox, threshold)
        )
        return answer

    def close(self) -> None:
        """Free the engine in its thread; a second call does nothing."""
        atexit.unregister(self.close)
        self._owner.close()

    def _call(self, work: Callable[[Session], Any]) -> Any:
        """Run in the owner's thread; an error of CUDA sticks, so nothing is tried after it."""
        if self._dead:
            raise EngineLostError(
                f"the GPU failed before ({self._dead}), and CUDA does not recover within a "
                "process: restart this one"
            )
        try:
            return self._owner.call(work)
        except Exception as error:
            if self._owner.closed:
                raise
            self._dead = one_line(error)
            raise EngineLostError(f"the GPU failed ({self._dead}); restart this process") from error


def describe_model(path: Path, sha256: str, names: tuple[str, ...], precision: str) -> ModelInfo:
    """Make what is known of a model before its engine tells the size."""
    return ModelInfo(path, sha256, (0, 0), names, precision)
