# SPDX-License-Identifier: Apache-2.0
"""Choose the labelled pictures of runs that are worth keeping for training.

Near duplicates go first, then what lies close together where the model is good. The selection file
holds what stays and what goes, each with its reason; 'armseg apply' writes what stays as a folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "drop what teaches a model nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    from armseg_ros.cli.select import add_balance

    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of 'evaluate'")
    parser.add_argument(
        "--keep", type=float, required=True, help="share to keep, above 0 to 1 (duplicates alone)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="selection file to write")
    parser.add_argument(
        "--good", type=float, help="clusters are good up to this mean error (default: that of all)"
    )
    parser.add_argument(
        "--min-distance",
        type=float,
        help="far from the centre begins here (default: the median of each cluster)",
    )
    parser.add_argument(
        "--near",
        type=float,
        default=0.1,
        help="largest distance of duplicates, as share of the median distance of two pictures",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the clusters")
    add_balance(parser)


def run(args: argparse.Namespace) -> int:
    """Choose, write the selection file and say what it does."""
    from armseg_ros.cli.select import load_pool
    from armseg_ros.data.selection import write_selection
    from armseg_ros.latent.prune import PruneSettings, prune

    settings = PruneSettings(
        keep=args.keep,
        good=args.good,
        min_distance=args.min_distance,
        near=args.near,
        seed=args.seed,
    )
    selection = prune(load_pool(args.runs, args.slices), settings)
    write_selection(selection, args.output)
    figures = selection.summary
    print(
        f"{args.output}: keeps {figures['kept']} of {figures['labelled']} labelled pictures, of "
        f"which {figures['duplicates']} were duplicates; mean error "
        f"{figures['mean_error']['before']} before, {figures['mean_error']['kept']} kept; "
        f"{figures['good_clusters']} of {figures['clusters']} clusters are good"
    )
    return 0
