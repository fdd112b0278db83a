# SPDX-License-Identifier: Apache-2.0
"""Render procedural mixed-object totes with exact masks, in ARMBench's folder layout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from armseg_ros.errors import ConfigError

HELP = "render synthetic totes with exact masks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `armseg synth`."""
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder to make: images/, train.json, ..."
    )
    parser.add_argument("-n", "--count", type=int, default=100, help="number of pictures")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the series; picture K depends on seed and K"
    )
    parser.add_argument(
        "--size", default="2448x2048", metavar="WxH", help="of the pictures in pixels"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes; the files do not depend on it"
    )
    parser.add_argument(
        "--split",
        default="train=0.8,val=0.1,test=0.1",
        metavar="NAME=WEIGHT,...",
        help="shares of train, val and test; leave one out to write no file for it",
    )
    parser.add_argument(
        "--bag", action="store_true", help="also write OUT/SPLIT.bag for each split"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")


def run(args: argparse.Namespace) -> int:
    """Render the data set; 0 on success, 130 after Ctrl-C."""
    from armseg_ros.synthetic.write import parse_split, write_coco

    size, split = parse_size(args.size), parse_split(args.split)
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
        finished = len(list((args.out / "images").glob("*.jpg")))
        print(
            f"armseg synth: interrupted; {finished} of {args.count} pictures are kept in {args.out}, "
            "add --resume to the same command to go on",
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
        ConfigError: it is not two whole numbers with an x between them.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise ConfigError(f'--size "{text}" is not WIDTHxHEIGHT in pixels, like 816x683')
    return int(width), int(height)


def _write_bags(folder: Path, splits: list[str]) -> None:
    from armseg_ros.data.bag import write_bag_from_coco

    for split in splits:
        path = folder / f"{split}.bag"
        write_bag_from_coco(folder, split, path)
        print(path)
