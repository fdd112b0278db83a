# SPDX-License-Identifier: Apache-2.0
"""Look for leaks between splits, duplicates, and labels that cannot be right.

Exit code 0 where nothing was found, 1 where something was, 2 where the data cannot be opened.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from armseg_ros.errors import DataError

if TYPE_CHECKING:
    from armseg_ros.data.check.check import Report

HELP = "find leaks, duplicates and suspect labels"
_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DATA", help="COCO folders with all splits, or bags"
    )
    parser.add_argument(
        "--run",
        type=Path,
        nargs="+",
        default=[],
        dest="runs",
        metavar="RUN",
        help="evaluations of these pictures: suspect labels too",
    )
    parser.add_argument(
        "--ignore", nargs="+", default=[], metavar="RULE", help="rules to leave out"
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file for all findings")


def run(args: argparse.Namespace) -> int:
    """Check and list the findings, the first ones of each rule."""
    from armseg_ros.data.check.check import check
    from armseg_ros.evaluate.read_run import read_run

    if args.output and args.output.exists():
        raise DataError(f"{args.output} exists already; choose another name or remove it")
    report = check(args.data, [read_run(folder) for folder in args.runs], args.ignore)
    print(_text(report))
    if args.output:
        findings = [{"severity": f.severity, **asdict(f)} for f in report.findings]
        text = json.dumps({"pictures": report.pictures, "findings": findings}, indent=1)
        args.output.write_text(text + "\n", encoding="utf-8")
    return 1 if report.findings else 0


def _text(report: Report) -> str:
    from armseg_ros.data.check.finding import RULES

    counts = Counter(finding.rule for finding in report.findings)
    lines = []
    for rule in (rule for rule in RULES if counts[rule]):
        lines.append(f"{rule}: {counts[rule]} ({RULES[rule][0]}: {RULES[rule][1]})")
        chosen = [finding for finding in report.findings if finding.rule == rule]
        for finding in chosen[:_SHOWN]:
            place = "" if finding.annotation is None else f" annotation {finding.annotation}"
            other = f" = {finding.other}" if finding.other else ""
            where = f"{finding.source}: {finding.sample_id}{place}{other}"
            lines.append(f"  {where}: {finding.detail}")
        if len(chosen) > _SHOWN:
            lines.append(f"  and {len(chosen) - _SHOWN} more; -o writes all")
    looked = ", ".join(f"{count} of {name}" for name, count in report.pictures.items())
    lines.append(f"{len(report.findings) or 'no'} findings in {looked}")
    return "\n".join(lines)
