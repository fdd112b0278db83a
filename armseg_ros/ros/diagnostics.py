# SPDX-License-Identifier: Apache-2.0
"""Counts and times of the segmenter node; ``statuses`` makes /diagnostics of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from armseg_ros.quality.result import Quality, Verdict

WINDOW_S = 5.0  # rates and troubles are those of the last five seconds
LATENCIES = 500  # the last answers that percentiles and shares are taken over

AGE, WAIT, PUBLISH, TOTAL = "age at receive", "wait", "publish", "total"
STAGES = (
    AGE,  # from the stamp to the arrival
    WAIT,  # from the arrival until the worker takes it
    "decode",
    "preprocess",
    "inference",
    "postprocess",
    "quality",
    TOTAL,  # from the arrival to the answer, publishing left out
    PUBLISH,
)

REPLACED = "replaced by a newer one"
STALE = "older than max_age_ms"
BROKEN = "not readable"
FAILED = "failed in the network"
OFF = "switched off"
DROP_REASONS = (REPLACED, STALE, BROKEN, FAILED, OFF)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of affairs at one moment.

    Attributes:
        received: Images that arrived since the start.
        answered: Images that were answered since the start.
        dropped: Images that were not, by reason.
        input_hz: Images that arrive per second.
        output_hz: Answers per second.
        stages: Median and 99th percentile in milliseconds of each stage of the last answers, and
            of ``total`` from arrival to answer; NaN before the first.
        verdicts: Share of each verdict among the last answers, 0..1; NaN before the first.
        last_error: Why an image was not readable or failed last; empty if none ever.
        troubled: An image was not readable or failed within the window.
    """

    received: int
    answered: int
    dropped: dict[str, int]
    input_hz: float
    output_hz: float
    stages: dict[str, tuple[float, float]]
    verdicts: dict[str, float]
    last_error: str
    troubled: bool


@dataclass
class Statistics:
    """Counts what happens to images; every method may be called from any thread."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _received: int = 0
    _answered: int = 0
    _dropped: Counter[str] = field(default_factory=Counter)
    _arrivals: deque[float] = field(default_factory=deque)
    _answers: deque[float] = field(default_factory=deque)
    _stages: deque[tuple[float, ...]] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    _verdicts: deque[Verdict] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    _last_error: str = ""
    _last_error_at: float = -float("inf")

    def receive(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._received += 1
            self._arrivals.append(time.monotonic())
            _forget_old(self._arrivals)

    def drop(self, reason: str, error: str = "") -> None:
        """Count an image that will have no answer.

        Args:
            reason: One of ``DROP_REASONS``.
            error: What was wrong with it, where something was.
        """
        with self._lock:
            self._dropped[reason] += 1
            if error:
                self._last_error, self._last_error_at = error, time.monotonic()

    def answer(self, stages: Mapping[str, float], quality: Quality | None = None) -> None:
        """Count an answer and what the flags say.

        Args:
            stages: Milliseconds of each of ``STAGES``; NaN, or left out, where one did not run.
            quality: Of the image, where it was judged.
        """
        with self._lock:
            self._verdicts.append(Verdict.UNKNOWN if quality is None else quality.verdict)
            self._answered += 1
            self._stages.append(tuple(stages.get(name, float("nan")) for name in STAGES))
            self._answers.append(time.monotonic())
            _forget_old(self._answers)

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        with self._lock:
            _forget_old(self._arrivals)
            _forget_old(self._answers)
            return Snapshot(
                received=self._received,
                answered=self._answered,
                dropped={reason: self._dropped[reason] for reason in DROP_REASONS},
                input_hz=len(self._arrivals) / WINDOW_S,
                output_hz=len(self._answers) / WINDOW_S,
                stages=_percentiles(self._stages),
                verdicts=_shares(self._verdicts),
                last_error=self._last_error,
                troubled=time.monotonic() - self._last_error_at < WINDOW_S,
            )


def _percentiles(stages: deque[tuple[float, ...]]) -> dict[str, tuple[float, float]]:
    columns = np.array(stages or [(np.nan,) * len(STAGES)]).T
    out = {}
    for name, column in zip(STAGES, columns, strict=True):
        known = column[~np.isnan(column)]
        low, high = np.percentile(known, (50, 99)) if known.size else (np.nan, np.nan)
        out[name] = float(low), float(high)
    return out


def _shares(verdicts: deque[Verdict]) -> dict[str, float]:
    counts = Counter(verdicts)
    whole = len(verdicts)
    return {
        verdict.name.lower(): counts[verdict] / whole if whole else float("nan")
        for verdict in Verdict
    }


def _forget_old(times: deque[float]) -> None:
    oldest = time.monotonic() - WINDOW_S
    while times and times[0] < oldest:
        times.popleft()
