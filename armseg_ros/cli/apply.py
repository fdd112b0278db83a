# SPDX-License-Identifier: Apache-2.0
"""Write the pictures of a selection for a labelling tool, for training, or as a bag.

Ground truth comes along where the source has it; else what the model found, as pre-labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write chosen pictures for labelling or training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("selection", type=Path, help="file of 'select' or 'prune'")
    parser.add_argument(
        "sources", nargs="+", metavar="source", help="what was evaluated, as for 'evaluate'"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder (csv: file) to make"
    )
    parser.add_argument(
        "--format",
        choices=("coco", "cvat", "labelstudio", "csv", "bag"),
        default="coco",
        help="what to write",
    )
    parser.add_argument("--split", help="train, val or test, where the source holds several")
    parser.add_argument(
        "--score-threshold",
        type=float,
        help="lowest score of a pre-label (default: the operating threshold of the run)",
    )
    parser.add_argument(
        "--url-prefix",
        help="labelstudio: what stands before the name of a picture (default: local storage "
        "whose root is the folder that OUTPUT is in)",
    )


def run(args: argparse.Namespace) -> int:
    """Write, and say how many pictures there are."""
    from armseg_ros.data.joined import JoinedSource, find_sources
    from armseg_ros.data.labelling.apply import apply
    from armseg_ros.data.selection import read_selection
    from armseg_ros.data.source import open_source

    selection = read_selection(args.selection)
    named = find_sources(args.sources)
    several = len(named) > 1
    count = apply(
        selection,
        JoinedSource(named, args.split) if several else open_source(named[0].path, args.split),
        args.output,
        args.format,
        score_threshold=args.score_threshold,
        url_prefix=args.url_prefix,
    )
    print(f"{args.output}: {count} pictures")
    return 0
