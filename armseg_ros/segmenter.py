# SPDX-License-Identifier: Apache-2.0
"""The segmenter: letterbox, network and decoding in one call, shared by node and evaluator."""

from __future__ import annotations

import time

from armseg_ros.backends.base import Backend
from armseg_ros.config import SegmenterConfig
from armseg_ros.decode import decode
from armseg_ros.letterbox import Letterbox
from armseg_ros.types import Float32Array, Frame, Segmentation, StageTimes


class Segmenter:
    """Finds the instances in a frame; used by one thread at a time.

    Attributes:
        config: Settings of the next call; assigning a new value takes effect between frames.
    """

    def __init__(self, backend: Backend, config: SegmenterConfig | None = None) -> None:
        """Wrap a loaded network; the caller keeps it and closes it."""
        self.backend = backend
        self.config = config or SegmenterConfig()
        self._letterbox: Letterbox | None = None
        self._tensor: Float32Array | None = None

    def segment(self, frame: Frame) -> Segmentation:
        """Segment one frame.

        Returns:
            Instances in source pixels by descending score; none found gives N = 0.

        Raises:
            BackendError: The network failed.
        """
        config = self.config
        start = time.perf_counter()
        letterbox, tensor = self._prepare(frame, config)
        prepared = time.perf_counter()
        raw = self.backend.infer(tensor)
        inferred = time.perf_counter()
        detections, candidates = decode(raw, letterbox, config.decode)
        decoded = time.perf_counter()
        times = StageTimes(
            preprocess=(prepared - start) * 1e3,
            inference=(inferred - prepared) * 1e3,
            postprocess=(decoded - inferred) * 1e3,
            total=(decoded - start) * 1e3,
        )
        return Segmentation(detections, candidates, raw.features, times)

    def _prepare(self, frame: Frame, config: SegmenterConfig) -> tuple[Letterbox, Float32Array]:
        """Write the frame into the tensor, which is made anew only when the geometry changes."""
        letterbox = Letterbox.fit(frame.hw, self.backend.model.network_hw, config.letterbox)
        if self._tensor is None or letterbox != self._letterbox:
            self._letterbox, self._tensor = letterbox, letterbox.empty_tensor()
        letterbox.write_tensor(frame.image, self._tensor)
        return letterbox, self._tensor
