# SPDX-License-Identifier: Apache-2.0
"""Counts and times of the segmenter node, and the /diagnostics message made of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from armseg_ros.quality.result import Quality, Verdict

WINDOW_S = 5.0  # rates and troubles are those of the last five seconds
LATENCIES = 500  # the last answers that percentiles and shares are taken over

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
        latency_p50_ms: Median time from arrival to answer, NaN before the first.
        latency_p99_ms: The same, 99th percentile.
        verdicts: Share of each verdict among the last answers, 0..1; NaN before the first.
        last_error: Why an image was not readable or failed last; empty if none ever.
        troubled: An image was not readable or failed within the window.
    """

    received: int
    answered: int
    dropped: dict[str, int]
    input_hz: float
    output_hz: float
    latency_p50_ms: float
    latency_p99_ms: float
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
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
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

    def answer(self, latency_ms: float, quality: Quality | None = None) -> None:
        """Count an answer, the time from the arrival of its image, and what the flags say."""
        with self._lock:
            self._verdicts.append(Verdict.UNKNOWN if quality is None else quality.verdict)
            self._answered += 1
            self._latencies.append(latency_ms)
            self._answers.append(time.monotonic())
            _forget_old(self._answers)

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        with self._lock:
            _forget_old(self._arrivals)
            _forget_old(self._answers)
            latencies = np.array(self._latencies) if self._latencies else np.array([np.nan])
            return Snapshot(
                received=self._received,
                answered=self._answered,
                dropped={reason: self._dropped[reason] for reason in DROP_REASONS},
                input_hz=len(self._arrivals) / WINDOW_S,
                output_hz=len(self._answers) / WINDOW_S,
                latency_p50_ms=float(np.percentile(latencies, 50)),
                latency_p99_ms=float(np.percentile(latencies, 99)),
                verdicts=_shares(self._verdicts),
                last_error=self._last_error,
                troubled=time.monotonic() - self._last_error_at < WINDOW_S,
            )


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


def status(name: str, snapshot: Snapshot, facts: dict[str, str], idle: str) -> DiagnosticStatus:
    """Make the status of the node.

    Args:
        name: Name of the status, the node's.
        snapshot: Counts and times.
        facts: What does not change: model, backend, transport.
        idle: Why no image is taken, such as ``inactive``; empty while the node listens.
    """
    level, message = _verdict(snapshot, idle)
    values = facts | {
        "input rate (Hz)": f"{snapshot.input_hz:.1f}",
        "output rate (Hz)": f"{snapshot.output_hz:.1f}",
        "images received": str(snapshot.received),
        "images answered": str(snapshot.answered),
        **{f"dropped, {reason}": str(count) for reason, count in snapshot.dropped.items()},
        "latency p50 (ms)": f"{snapshot.latency_p50_ms:.1f}",
        "latency p99 (ms)": f"{snapshot.latency_p99_ms:.1f}",
        **{
            f"verdict {name} (%)": f"{100 * share:.0f}" for name, share in snapshot.verdicts.items()
        },
        "last error": snapshot.last_error,
    }
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=facts.get("model", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _verdict(snapshot: Snapshot, idle: str) -> tuple[bytes, str]:
    if idle:
        return DiagnosticStatus.OK, idle
    if snapshot.troubled:
        level = DiagnosticStatus.WARN if snapshot.output_hz else DiagnosticStatus.ERROR
        return level, snapshot.last_error
    if not snapshot.input_hz:
        return DiagnosticStatus.WARN, f"no image in the last {WINDOW_S:.0f} s"
    return (
        DiagnosticStatus.OK,
        f"answering {snapshot.output_hz:.1f} of {snapshot.input_hz:.1f} images per second",
    )
