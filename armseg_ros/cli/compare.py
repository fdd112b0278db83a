# SPDX-License-Identifier: Apache-2.0
"""Compare two runs on the pictures that both answered, and fail where one got worse.

Differences are second run minus first, with 95 % intervals of a paired bootstrap over pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armseg_ros.evaluate.compare import Comparison
    from armseg_ros.evaluate.gate import Delta

HELP = "compare two runs; --fail-if makes it a gate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("run_a", type=Path, help="run folder, such as of the model in use")
    parser.add_argument("run_b", type=Path, help="run folder, such as of its successor")
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="exit with 1 where it holds, such as 'object_mask_ap < -0.01' for the difference or "
        "'object_mask_ap.high < 0' for the upper end of its interval; may be repeated",
    )
    parser.add_argument("--show", type=int, default=10, help="most pictures to list each way")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare and print.

    Returns:
        1 where a condition of --fail-if holds, else 0.
    """
    from armseg_ros.evaluate.compare import FIGURES, compare
    from armseg_ros.evaluate.gate import parse_condition
    from armseg_ros.evaluate.read_run import read_run

    conditions = [parse_condition(text, FIGURES) for text in args.fail_if]
    runs = [read_run(path, features=False) for path in (args.run_a, args.run_b)]
    comparison = compare(*runs)
    holding = [condition for condition in conditions if condition.holds(comparison.deltas)]
    for place, one in zip(("first", "second"), runs, strict=True):
        model = one.summary["model"]
        print(f"{place + ':':8}{one.folder}, {model['model_id']} on {model['backend']}")
    print(comparison_text(comparison, args.show))
    if args.json:
        _write_json(comparison, args.json)
    for condition in holding:
        print(f"failed: {condition.text}")
    return 1 if holding else 0


def comparison_text(comparison: Comparison, show: int) -> str:
    """Format a comparison for a terminal."""
    lines = [
        f"{comparison.pictures} pictures in both runs, {comparison.labelled} labelled",
        *(f"note: {remark}" for remark in comparison.remarks),
        "",
        f"{'':22}{'first':>10}{'second':>10}{'change':>10}   95 % interval, * without 0",
    ]
    lines += [_delta_line(delta) for delta in comparison.deltas.values() if _is_measured(delta)]
    absent = [name for name, delta in comparison.deltas.items() if not _is_measured(delta)]
    if absent:
        lines.append(f"not measured: {', '.join(absent)}")
    same = comparison.labelled - comparison.won - comparison.lost
    lines += ["", f"pictures: {comparison.won} better, {comparison.lost} worse, {same} the same"]
    worse = [change for change in comparison.changes if change.error_b > change.error_a]
    better = [change for change in reversed(comparison.changes) if change.error_b < change.error_a]
    for title, changes in (("worse", worse), ("better", better)):
        lines += [
            f"  {title:6} {change.error_a:.3f} -> {change.error_b:.3f}  {change.sample_id}"
            for change in changes[: max(0, show)]
        ]
    return "\n".join(lines)


def _is_measured(delta: Delta) -> bool:
    return delta.a is not None or delta.b is not None


def _delta_line(delta: Delta) -> str:
    digits = 1 if delta.name.endswith("_ms") else 4
    first, second = (
        "-" if value is None else f"{value:.{digits}f}" for value in (delta.a, delta.b)
    )
    change = "-" if delta.change is None else f"{delta.change:+.{digits}f}"
    line = f"{delta.name:22}{first:>10}{second:>10}{change:>10}"
    if delta.interval is None:
        return line
    low, high = delta.interval
    sure = " *" if low > 0 or high < 0 else ""
    return f"{line}   {low:+.{digits}f} to {high:+.{digits}f}{sure}"


def _write_json(comparison: Comparison, path: Path) -> None:
    import json
    from dataclasses import asdict

    text = json.dumps(asdict(comparison), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
