# SPDX-License-Identifier: Apache-2.0
"""The segmenter: letterbox, network, decoding and flags, shared by node and evaluator."""

from __future__ import annotations

import time
from dataclasses import dataclass

from armseg_ros.backends.base import Backend, FrameBackend
from armseg_ros.config import SegmenterConfig
from armseg_ros.decode import decode, lowest_score
from armseg_ros.letterbox import Letterbox
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.result import Quality
from armseg_ros.types import (
    Candidates,
    Detections,
    Float32Array,
    Frame,
    RawOutput,
    StageTimes,
)


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What the network answered to one frame, before it is decoded.

    Attributes:
        raw: The answer.
        letterbox: From the frame to the network's input and back.
        tensor: (1, 3, h, w) float32 input, RGB in 0..1; written anew by the next frame.
        times: Of ``preprocess`` and ``inference``.
    """

    raw: RawOutput
    letterbox: Letterbox
    tensor: Float32Array
    times: StageTimes


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Everything the segmenter says about one frame.

    Attributes:
        detections: The instances, in source pixels.
        candidates: What non-maximum suppression started from, in network pixels.
        features: (D,) float32 pooled features of the picture, or None.
        times: Wall time per stage; ``decode`` is left to whoever decoded the picture.
        quality: How far the instances can be trusted; None where the segmenter has no flags.
    """

    detections: Detections
    candidates: Candidates
    features: Float32Array | None
    times: StageTimes
    quality: Quality | None = None


class Segmenter:
    """Finds the instances in a frame; used by one thread at a time.

    Attributes:
        config: Settings of the next call; assigning a new value takes effect between frames.
        flags: Judges the instances; None leaves them unjudged.
    """

    def __init__(
        self,
        backend: Backend,
        config: SegmenterConfig | None = None,
        flags: QualityModel | None = None,
    ) -> None:
        """Wrap a loaded network; the caller keeps it and closes it."""
        self.backend = backend
        self.config = config or SegmenterConfig()
        self.flags = flags
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
        return self.interpret(self.infer(frame, config), config)

    def infer(self, frame: Frame, config: SegmenterConfig | None = None) -> Inference:
        """Run the network on one frame; the result holds until the next frame.

        Raises:
            BackendError: The network failed.
        """
        config = config or self.config
        if isinstance(self.backend, FrameBackend):
            return self._infer_frame(self.backend, frame, config)
        start = time.perf_counter()
        letterbox, tensor = self._prepare(frame, config)
        prepared = time.perf_counter()
        raw = self.backend.infer(tensor)
        inferred = time.perf_counter()
        times = StageTimes(
            preprocess=(prepared - start) * 1e3, inference=(inferred - prepared) * 1e3
        )
        return Inference(raw, letterbox, tensor, times)

    def interpret(
        self, inference: Inference, config: SegmenterConfig | None = None
    ) -> Segmentation:
        """Decode and judge what the network answered, with these settings or one's own."""
        config = config or self.config
        start = time.perf_counter()
        detections, candidates = decode(inference.raw, inference.letterbox, config.decode)
        decoded = time.perf_counter()
        quality, judged = None, float("nan")
        if self.flags is not None:
            quality = self.flags.assess(
                (detections, candidates),
                inference.raw,
                inference.tensor,
                self.backend.model.sha256,
                config=config.quality,
                decode_config=config.decode,
            )
            judged = (time.perf_counter() - decoded) * 1e3
        preprocess, infer = inference.times.preprocess, inference.times.inference
        postprocess = (decoded - start) * 1e3
        spent = preprocess + infer + postprocess + (0.0 if quality is None else judged)
        times = StageTimes(
            preprocess=preprocess,
            inference=infer,
            postprocess=postprocess,
            quality=judged,
            total=spent,
        )
        return Segmentation(detections, candidates, inference.raw.features, times, quality)

    def _infer_frame(
        self, backend: FrameBackend, frame: Frame, config: SegmenterConfig
    ) -> Inference:
        """Leave the letterbox to the engine; copying the picture there counts as preparation."""
        letterbox = Letterbox.fit(frame.hw, self.backend.model.network_hw, config.letterbox)
        start = time.perf_counter()
        answer = backend.infer_frame(frame.image, letterbox, lowest_score(config.decode))
        spent = (time.perf_counter() - start) * 1e3
        times = StageTimes(preprocess=spent - answer.inference_ms, inference=answer.inference_ms)
        return Inference(answer.raw, letterbox, answer.tensor, times)

    def _prepare(self, frame: Frame, config: SegmenterConfig) -> tuple[Letterbox, Float32Array]:
        """Write the frame into the tensor, which is made anew only when the geometry changes."""
        letterbox = Letterbox.fit(frame.hw, self.backend.model.network_hw, config.letterbox)
        if self._tensor is None or letterbox != self._letterbox:
            self._letterbox, self._tensor = letterbox, letterbox.empty_tensor()
        letterbox.write_tensor(frame.image, self._tensor)
        return letterbox, self._tensor
