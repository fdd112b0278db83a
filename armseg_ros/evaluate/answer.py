# SPDX-License-Identifier: Apache-2.0
"""Who answers the frames of an evaluation: the segmenter in this process, or a running node."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from armseg_ros.backends.base import Backend
from armseg_ros.config import SegmenterConfig
from armseg_ros.data.model_classes import our_class_ids, with_classes
from armseg_ros.errors import BackendError, ConfigError
from armseg_ros.evaluate.operating import Operating, places_among
from armseg_ros.evaluate.seed_compat import seed_detections
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.quality.evidence import gather
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.result import Quality
from armseg_ros.segmenter import Inference, Segmentation, Segmenter
from armseg_ros.types import (
    CLASS_NAMES,
    Detections,
    Float32Array,
    Frame,
    StageTimes,
)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came back for one frame.

    Attributes:
        detections: The instances, in source pixels.
        features: (D,) float32 pooled features, or None.
        times: Wall time per stage where it ran.
        round_trip_ms: From handing the frame over to having the answer; NaN within a process.
        operating: The same at the operating point, with flags; None where it was not decoded
            apart, so that it is whatever lies above the threshold.
        quality: Flags of ``detections``, from a node; else ``operating`` has them.
        seed: What Tensorleap's ARMBench example would have found; None where nobody asked.
    """

    detections: Detections
    features: Float32Array | None
    times: StageTimes
    round_trip_ms: float = float("nan")
    operating: Operating | None = None
    quality: Quality | None = None
    seed: Detections | None = None


class NoAnswerError(Exception):
    """A node did not answer a frame in time; the evaluation counts it and goes on."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who answered.

    Attributes:
        mode: ``in process`` or ``live``.
        backend: Engine and device.
        model_id: Model name and start of its hash.
        sha256: Hash of the model file; empty where only the node knows it.
        thresholds: What the answers were decoded with; None where only the node knows.
        flags: What judged them; None where only the node knows, or nobody did.
    """

    mode: str
    backend: str
    model_id: str
    sha256: str
    thresholds: dict[str, float] | None
    flags: QualityModel | None = None


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What answers in this process.

    Attributes:
        model: ONNX file; None takes the shipped one.
        backend: Inference engine, see ``open_backend``.
        threads: CPU threads of it; 0 leaves the choice to it.
        precision: Of its arithmetic, see ``open_backend``.
        flags: Quality model; None takes the shipped one.
    """

    model: Path | None = None
    backend: str = "auto"
    threads: int = 0
    precision: str = "auto"
    flags: Path | None = None


class Answerer(Protocol):
    """Turns a frame into an answer."""

    def answer(self, frame: Frame, content: Callable[[], bytes], decode_ms: float) -> Answer:
        """Answer one frame.

        Args:
            frame: The picture.
            content: Gives the picture as stored, for those who decode it themselves.
            decode_ms: How long decoding it took here.

        Raises:
            NoAnswerError: Nothing came back in time.
            BackendError: The network failed, or finds a class beyond ours.
        """

    def provenance(self) -> Provenance:
        """Say who answered, as far as it is known after the last frame."""


class InProcess:
    """The segmenter itself, without a node between."""

    def __init__(
        self,
        backend: Backend,
        config: SegmenterConfig,
        *,
        operating: SegmenterConfig | None = None,
        flags: QualityModel | None = None,
        seed_compat: bool = False,
    ) -> None:
        """Wrap a loaded network and run it once, so that the first frame is like the others.

        Args:
            backend: The network.
            config: Settings of the recorded detections.
            operating: Settings of the node; None does not decode for it.
            flags: Judge the detections at the operating point.
            seed_compat: Decode the way of Tensorleap's ARMBench example as well.

        Raises:
            ConfigError: The model's classes are not those of the ground truth.
        """
        self._class_ids = _our_class_ids(backend.model.class_names, backend.model.model_id)
        self._segmenter = Segmenter(backend, config)
        self._operating, self._flags, self._seed_compat = operating, flags, seed_compat
        self._segmenter.segment(Frame(np.zeros((*backend.model.network_hw, 3), np.uint8)))

    def answer(self, frame: Frame, _content: Callable[[], bytes], decode_ms: float) -> Answer:
        """Segment one frame."""
        inference = self._segmenter.infer(frame)
        result = self._segmenter.interpret(inference)
        detections = self._ours(result.detections)
        check_class_ids(detections)
        operating = self._at_operating_point(inference, result)
        judged_ms = float("nan") if operating is None else operating[1]
        total_ms = decode_ms + result.times.total + (0 if math.isnan(judged_ms) else judged_ms)
        return Answer(
            detections,
            result.features,
            replace(result.times, decode=decode_ms, quality=judged_ms, total=total_ms),
            operating=operating[0] if operating else None,
            seed=self._ours(seed_detections(inference)) if self._seed_compat else None,
        )

    def _ours(self, detections: Detections) -> Detections:
        if self._class_ids is None:
            return detections
        return with_classes(detections, self._class_ids)

    def _at_operating_point(
        self, inference: Inference, recorded: Segmentation
    ) -> tuple[Operating, float] | None:
        """Decode as the node does, and judge; with the milliseconds of the flags."""
        if self._operating is None:
            return None
        self._segmenter.flags = self._flags
        shown = self._segmenter.interpret(inference, self._operating)
        self._segmenter.flags = None
        places = places_among(recorded.candidates, shown.candidates, len(recorded.detections))
        evidence = gather(shown.candidates, shown.detections, inference.raw, inference.tensor)
        usable = self._class_ids in (None, tuple(range(len(CLASS_NAMES)))) and evidence.finite
        operating = Operating(
            self._ours(shown.detections), places, shown.quality, evidence if usable else None
        )
        return operating, shown.times.quality

    def provenance(self) -> Provenance:
        """Say which model and settings answered."""
        backend, decode = self._segmenter.backend, self._segmenter.config.decode
        return Provenance(
            mode="in process",
            backend=backend.name,
            model_id=backend.model.model_id,
            sha256=backend.model.sha256,
            thresholds={
                "score_threshold": decode.score_threshold,
                "iou_threshold": decode.iou_threshold,
                "max_detections": decode.max_detections,
            },
            flags=self._flags,
        )


def _our_class_ids(class_names: tuple[str, ...], model_id: str) -> tuple[int, ...] | None:
    """Find our classes by name, in whatever order; None where a model names none."""
    found = our_class_ids(class_names)
    if class_names and found is None:
        raise ConfigError(
            f"model {model_id} finds {', '.join(class_names)}, but ground truth has the classes "
            f"{', '.join(CLASS_NAMES)}; use a model trained for them"
        )
    return found


def check_class_ids(detections: Detections) -> None:
    """Raise ``BackendError`` where a network finds a class beyond ours."""
    largest = int(detections.class_ids.max(initial=0))
    if largest >= len(CLASS_NAMES):
        raise BackendError(
            f"the network answers with class {largest}, known are 0 to {len(CLASS_NAMES) - 1}"
        )


def now() -> float:
    """The clock that stage times are taken with, seconds."""
    return time.perf_counter()


@contextmanager
def open_in_process(engine: EngineChoice, config: EvaluateConfig) -> Iterator[InProcess]:
    """Load the engine for as long as the block lasts.

    Raises:
        BackendError: It does not work here, or does not load the model.
        DataError: The model or the quality model cannot be read.
    """
    from armseg_ros.backends.base import open_backend
    from armseg_ros.quality.shipped import open_flags

    flags = open_flags(engine.flags)
    backend = open_backend(engine.model, engine.backend, engine.threads, precision=engine.precision)
    try:
        yield InProcess(
            backend,
            config.segmenter(),
            operating=config.operating(),
            flags=flags,
            seed_compat=config.seed_compat,
        )
    finally:
        backend.close()
