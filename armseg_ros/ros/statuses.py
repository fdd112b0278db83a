# SPDX-License-Identifier: Apache-2.0
"""The statuses of the segmenter node on /diagnostics, and what makes one a warning or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from armseg_ros.ros.diagnostics import TOTAL, WINDOW_S, Snapshot
from armseg_ros.ros.loading import LoadedModel

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
HANG_S = 10.0  # an image at hand for longer has met an engine that hangs

Verdict = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a node knows of itself at one moment.

    Attributes:
        state: Of its life cycle, such as ``active``.
        idle: Why no image is taken, such as ``inactive``; empty while the node listens.
        loading: How long a model has been loading, and how far it is; empty while none is.
        incompatible: Why images of some camera cannot be received; empty where none is such.
        model: What is loaded, or None.
        waiting: Whether an image waits for the worker.
        at_hand_s: Seconds that the worker has been at one image; None while it has none.
        memory_mb: Of the process, resident, in MB.
        gpu_memory_mb: Of the process on the GPU; None where that is not known.
    """

    state: str
    idle: str
    loading: str
    incompatible: str
    model: LoadedModel | None
    waiting: bool
    at_hand_s: float | None
    memory_mb: float
    gpu_memory_mb: float | None


def make_statuses(
    name: str, snapshot: Snapshot, condition: Condition, values: Mapping[str, Any]
) -> list[DiagnosticStatus]:
    """Make all statuses of a node.

    Args:
        name: Of the node, which the names of the statuses begin with.
        snapshot: Counts and times.
        condition: State, model and memory.
        values: Of its parameters; some of them are limits.
    """
    model = condition.model
    facts = {
        "image_transport": values["image_transport"],
        "image_reliability": values["image_reliability"],
    }
    parts = {
        "segmentation": (
            _segmentation_verdict(snapshot, condition, values),
            {**(_identity(model) if model else {}), **facts, **_counts(snapshot)},
        ),
        "model": (_model_verdict(condition), _model_values(condition)),
        "stages": (_latency_verdict(snapshot, values), _stage_values(snapshot)),
        "memory": (_memory_verdict(condition, values), _memory_values(condition)),
    }
    return [
        DiagnosticStatus(
            level=verdict[0],
            name=f"{name}: {part}",
            message=verdict[1],
            hardware_id=model.backend.model.model_id if model else "",
            values=[KeyValue(key=key, value=value) for key, value in pairs.items()],
        )
        for part, (verdict, pairs) in parts.items()
    ]


def _identity(model: LoadedModel) -> dict[str, str]:
    return {
        "model": model.backend.model.model_id,
        "backend": model.backend.name,
        "better backends that do not work": "; ".join(model.choice.refused),
    }


def _counts(snapshot: Snapshot) -> dict[str, str]:
    p50, p99 = snapshot.stages[TOTAL]
    return {
        "input rate (Hz)": f"{snapshot.input_hz:.1f}",
        "output rate (Hz)": f"{snapshot.output_hz:.1f}",
        "images received": str(snapshot.received),
        "images answered": str(snapshot.answered),
        **{f"dropped, {reason}": str(count) for reason, count in snapshot.dropped.items()},
        "latency p50 (ms)": f"{p50:.1f}",
        "latency p99 (ms)": f"{p99:.1f}",
        **{
            f"verdict {name} (%)": f"{100 * share:.0f}" for name, share in snapshot.verdicts.items()
        },
        "last error": snapshot.last_error,
    }


def _segmentation_verdict(
    snapshot: Snapshot, condition: Condition, values: Mapping[str, Any]
) -> Verdict:
    if condition.idle:
        return OK, condition.idle
    if condition.at_hand_s is not None and condition.at_hand_s > HANG_S:
        return ERROR, f"the engine has been at one image for {condition.at_hand_s:.0f} s"
    if snapshot.troubled:
        return WARN if snapshot.output_hz else ERROR, snapshot.last_error
    if not snapshot.input_hz:
        return WARN, condition.incompatible or f"no image in the last {WINDOW_S:.0f} s"
    answering = f"answering {snapshot.output_hz:.1f} of {snapshot.input_hz:.1f} images per second"
    if snapshot.output_hz < values["warn_rate_hz"]:
        level = WARN if snapshot.output_hz else ERROR
        return level, f"{answering}, less than warn_rate_hz = {values['warn_rate_hz']:g}"
    return OK, answering


def _model_verdict(condition: Condition) -> Verdict:
    if condition.loading:
        return OK, condition.loading
    if condition.model is None:
        return OK, "no model is loaded"
    return OK, str(condition.model.choice)


def _model_values(condition: Condition) -> dict[str, str]:
    out = {"state": condition.state}
    if (model := condition.model) is not None:
        out |= _identity(model)
        out |= {
            "path": str(model.backend.model.path),
            "network input": "x".join(map(str, model.backend.model.network_hw)),
            "loaded in (s)": f"{model.load_s:.1f}",
            "warm-up run (ms)": f"{model.warm_up_ms:.1f}",
        }
    return out


def _latency_verdict(snapshot: Snapshot, values: Mapping[str, Any]) -> Verdict:
    p50, p99 = snapshot.stages[TOTAL]
    if p50 != p50:  # NaN
        return OK, "no image was answered yet"
    limit, said = values["warn_latency_ms"], f"{p50:.0f} ms in the median, p99 {p99:.0f} ms"
    if limit and p99 > limit:
        return ERROR if p50 > limit else WARN, f"{said}, above warn_latency_ms = {limit:g}"
    return OK, said


def _stage_values(snapshot: Snapshot) -> dict[str, str]:
    return {
        f"{name} {label} (ms)": f"{value:.1f}"
        for name, pair in snapshot.stages.items()
        for label, value in zip(("p50", "p99"), pair, strict=True)
    }


def _memory_verdict(condition: Condition, values: Mapping[str, Any]) -> Verdict:
    limit, said = values["warn_memory_mb"], f"{condition.memory_mb:.0f} MB resident"
    if limit and condition.memory_mb > limit:
        return WARN, f"{said}, above warn_memory_mb = {limit:g}"
    return OK, said


def _memory_values(condition: Condition) -> dict[str, str]:
    gpu, at_hand = condition.gpu_memory_mb, condition.at_hand_s
    return {
        "resident (MB)": f"{condition.memory_mb:.1f}",
        "on the GPU (MB)": "unknown" if gpu is None else f"{gpu:.0f}",
        "image waits": str(condition.waiting).lower(),
        "at one image for (s)": "" if at_hand is None else f"{at_hand:.1f}",
    }
