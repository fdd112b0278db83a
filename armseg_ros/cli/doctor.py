# SPDX-License-Identifier: Apache-2.0
"""Say what this machine has for the segmenter, and what to do about what it lacks."""

from __future__ import annotations

import argparse

HELP = "say what this machine lacks, and what to do about it"
MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg doctor``: there are none."""
    del parser


def run(_: argparse.Namespace) -> int:
    """Print a line for each thing, and one below it where there is something to do.

    Returns:
        0; 1 where the package cannot do its work here.
    """
    from armseg_ros.doctor import examine

    wrong = 0
    for finding in examine():
        print(f"{MARKS[finding.state]} {finding.name:18}{finding.found}", flush=True)
        if finding.advice:
            print(f"{'':24}-> {finding.advice}", flush=True)
        wrong += finding.state == "wrong"
    return 1 if wrong else 0
