# SPDX-License-Identifier: Apache-2.0
"""Render procedural mixed-object totes with exact masks, in ARMBench's folder layout.

Picture K depends on --seed and K alone, not on the number of pictures or workers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from armseg_ros.errors import ConfigError

HELP = "render synthetic totes with exact masks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    parser.add_argument("-n", "--count", type=int, default=100, help="number of pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the series of pictures")
    parser.add_argument("--size", default="2448x2048", metavar="WxH", help="in pixels")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--split",
        default="train=0.8,val=0.1,test=0.1",
        metavar="NAME=WEIGHT,...",
        help="shares of train, val and test; one left out gets no file",
    )
    parser.add_argument("--bag", action="store_true", help="also write OUT/SPLIT_bag per split")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")


def run(args: argparse.Namespace) -> int:
    """Render the data set; 0 on success, 130 after Ctrl-C or SIGTERM."""
    import signal

    from armseg_ros.synthetic.splits import parse_split
    from armseg_ros.synthetic.write import write_coco

    size, split = parse_size(args.size), parse_split(args.split)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        counts = write_coco(
            args.out,
            args.count,
            args.seed,
            size,
            split=split,
            workers=args.workers,
            resume=args.resume,
        )
    except KeyboardInterrupt:
        finished = sum(1 for _ in (args.out / "images").glob("*.jpg"))
        print(
            f"armseg synth: interrupted; {finished} of {args.count} pictures are kept in "
            f"{args.out}, add --resume to the same command to go on",
            file=sys.stderr,
        )
        return 130
    print(f"{args.out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if args.bag:
        _write_bags(args.out, [name for name, count in counts.items() if count])
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of "WxH".

    Raises:
        ConfigError: It is not two whole numbers with an x between them.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise ConfigError(f'--size "{text}" is not WIDTHxHEIGHT in pixels, like 816x683')
    return int(sides[0]), int(sides[1])


def _write_bags(folder: Path, splits: list[str]) -> None:
    from armseg_ros.data.bag import write_bag_from_coco

    for split in splits:
        bag = folder / f"{split}_bag"
        print(f"{bag}: {write_bag_from_coco(folder, split, bag)} pictures")
