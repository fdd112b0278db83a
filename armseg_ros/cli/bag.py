# SPDX-License-Identifier: Apache-2.0
"""Write a COCO split as a rosbag2 recording, or with --extract a recording as a COCO split."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "COCO folder to rosbag2 recording, and back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("source", type=Path, help="COCO folder or file; with --extract a bag")
    parser.add_argument("output", type=Path, help="bag to make; with --extract a COCO folder")
    parser.add_argument("--split", help="train, val or test, where the source holds several")
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), default="mcap", help="storage of the bag"
    )
    parser.add_argument(
        "--extract", action="store_true", help="write the pictures and labels of a bag as COCO"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and say how many pictures there were."""
    from armseg_ros.data.bag import extract_coco, write_bag_from_coco

    try:
        if args.extract:
            left = f"{args.output} has pictures, but no annotation file; the same command goes on"
            count = extract_coco(args.source, args.output, args.split)
        else:
            left = f"{args.output} was not written"
            count = write_bag_from_coco(args.source, args.split, args.output, args.storage)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(left) from interrupt
    print(f"{args.output}: {count} pictures")
    return 0
