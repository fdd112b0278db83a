# SPDX-License-Identifier: Apache-2.0
"""What changes over a run: learning rate, network size, average of the weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from armseg_ros.train.model import YoloV5Seg
from armseg_ros.train.settings import SizeStage, TrainSettings

EMA_RAMP_STEPS = 10.0
"""The average spans about a tenth of the steps so far until it reaches its full length."""


class Clock:
    """Progress of a run, 0..1, by steps or by training time without pauses.

    Args:
        settings: The run's settings.
        picture_count: Pictures per epoch.
        elapsed_s: Training seconds of earlier parts of the run.
    """

    def __init__(self, settings: TrainSettings, picture_count: int, elapsed_s: float = 0.0) -> None:
        self._seconds = settings.minutes * 60
        batches = picture_count / settings.batch_size
        self._steps = settings.steps or math.ceil(settings.epochs * batches)
        self._elapsed_s = elapsed_s
        self._started = time.monotonic()
        self._paused_at: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Training seconds so far."""
        now = time.monotonic() if self._paused_at is None else self._paused_at
        return self._elapsed_s + now - self._started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still while something is done that is not training (validation, writing)."""
        self._paused_at = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - self._paused_at
            self._paused_at = None

    def progress(self, step: int) -> float:
        """Share of the run that is done before ``step``, 0..1."""
        done = self.elapsed_s / self._seconds if self._seconds else step / max(self._steps, 1)
        return min(1.0, done)


def learning_rate_factor(progress: float, warmup: float, final: float) -> float:
    """Rise linearly to 1 over ``warmup``, then fall along a half cosine to ``final``."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    fall = (progress - warmup) / (1 - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))


def size_at(progress: float, sizes: tuple[SizeStage, ...]) -> tuple[int, int]:
    """Return network height and width at a progress of 0..1."""
    total = sum(stage.share for stage in sizes)
    end = 0.0
    for stage in sizes:
        end += stage.share / total
        if progress < end:
            return stage.height, stage.width
    return sizes[-1].height, sizes[-1].width


class WeightAverage:
    """Exponential moving average of a model's weights and statistics.

    The decay after n updates is min(decay, (1 + n) / (10 + n)): the average never spans much more
    than a tenth of a run, so that short runs are not dominated by their first steps.

    Attributes:
        model: The averaged model, in evaluation mode.
        updates: Number of updates so far.
    """

    def __init__(self, model: YoloV5Seg, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, model: YoloV5Seg) -> None:
        """Move the average towards the model."""
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (EMA_RAMP_STEPS + self.updates))
        average, current = self.model.state_dict(), model.state_dict()
        floats = [name for name, value in average.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_(
            [average[name] for name in floats], [current[name] for name in floats], 1 - decay
        )
        for name in average.keys() - set(floats):
            average[name].copy_(current[name])

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]
