# SPDX-License-Identifier: Apache-2.0
"""The table that a person reads at the end of a run."""

from __future__ import annotations

from typing import Any

from armseg_ros.evaluate.split_text import flag_lines, split_lines
from armseg_ros.types import CLASS_NAMES

_FIGURES = (("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"), ("AR", "ar"))


def table_text(summary: dict[str, Any]) -> str:
    """Format a summary; Object stands first and alone, since totes are easy and lift a mean."""
    lines = _accuracy_lines(summary["accuracy"]) if summary["accuracy"] else _no_accuracy(summary)
    lines += split_lines(summary["splits"]) + flag_lines(summary["flags"])
    frames = summary["frames"]
    lines.append("")
    lines.append(
        f"{frames['answered']} of {frames['total']} pictures answered, "
        f"{frames['dropped']} dropped, {frames['failed']} failed"
    )
    lines += [f"  {u['status']} {u['sample_id']}: {u['reason']}" for u in frames["unanswered"][:10]]
    if len(frames["unanswered"]) > 10:
        lines.append(f"  and {len(frames['unanswered']) - 10} more, see summary.json")
    lines += _latency_lines(summary["times"]["latency_ms"])
    lines.append(_settings_line(summary["settings"]))
    return "\n".join(lines)


def _accuracy_lines(accuracy: dict[str, Any]) -> list[str]:
    lines = [f"{'':12}" + "".join(f"{title:>8}" for title, _ in _FIGURES)]
    for name in (*CLASS_NAMES, "mean"):
        for kind in ("mask", "box"):
            figures = accuracy[kind][name]
            cells = "".join(f"{_number(figures[key]):>8}" for _, key in _FIGURES)
            lines.append(f"{name + ' ' + kind:12}{cells}")
    at = accuracy["at_threshold"]
    lines.append("")
    lines.append(f"at score {at['score_threshold']:g} and mask IoU {at['mask_iou']:g}:")
    for name in CLASS_NAMES:
        counts = at[name]
        lines.append(
            f"{name:8} precision {_number(counts['precision'])}, recall "
            f"{_number(counts['recall'])} ({counts['true_positives']} found, "
            f"{counts['missed']} missed, {counts['false_positives']} false)"
        )
    return lines


def _no_accuracy(summary: dict[str, Any]) -> list[str]:
    name, has_truth = summary["data"]["name"], summary["data"]["has_truth"]
    lacks = "no labelled picture was answered" if has_truth else "holds no ground truth"
    return [f"{name}: {lacks}, so accuracy is not known"]


def _latency_lines(latency: dict[str, dict[str, float]]) -> list[str]:
    if not latency:
        return []
    lines = ["", f"{'ms a picture':14}{'p50':>9}{'p90':>9}{'p99':>9}"]
    for stage, values in latency.items():
        cells = "".join(f"{values[key]:>9.1f}" for key in ("p50", "p90", "p99"))
        lines.append(f"{stage.replace('_', ' '):14}{cells}")
    return lines


def _settings_line(settings: dict[str, Any]) -> str:
    if settings["score_threshold"] is None:
        return "\ndetections are those above the node's own score threshold: AP is lower for it"
    return (
        f"\ndetections above score {settings['score_threshold']:g}, suppressed above box IoU "
        f"{settings['iou_threshold']:g}, at most {settings['max_detections']} a picture"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
