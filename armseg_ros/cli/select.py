# SPDX-License-Identifier: Apache-2.0
"""Choose the unlabelled pictures of runs that are worth labelling next.

Name the run of what is labelled and the run of what is not, both of one model. The selection file
holds the pictures in order with reasons; 'armseg apply' makes of it what a labelling tool reads.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from armseg_ros.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from armseg_ros.latent.pool import Pool

HELP = "choose what to label next"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of 'evaluate'")
    parser.add_argument("-n", "--budget", type=int, required=True, help="how many pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, help="selection file to write")
    parser.add_argument(
        "--strategy",
        choices=("targeted", "k-centre", "uncertainty", "random"),
        default="targeted",
        help="targeted: predicted error x novelty x balance over slices",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random strategy")
    parser.add_argument(
        "--min-distance",
        type=float,
        help="targeted: no two picks are nearer; may end before the budget (default: by the data)",
    )
    add_balance(parser)
    for name, value in (("error", 1.0), ("novelty", 0.5), ("balance", 0.25)):
        parser.add_argument(
            f"--{name}-strength", type=float, default=value, help=f"targeted: exponent of {name}"
        )


def add_balance(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the slices."""
    parser.add_argument(
        "--slices",
        nargs="+",
        metavar="NAME",
        help="attributes that divide the pictures (default: all with 2 to 12 values, and how many "
        "objects were found)",
    )


def load_pool(runs: Sequence[Path], slices: Sequence[str] | None) -> Pool:
    """Read runs, and warn of those that were interrupted."""
    from armseg_ros.latent.features import load_population
    from armseg_ros.latent.pool import make_pool

    try:
        population = load_population(runs)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this needs {error.name}, which is not installed: pip install 'armseg_ros[latent]'"
        ) from error
    for run in population.runs:
        if run.missing:
            print(f"warning: {run.missing}", file=sys.stderr)
    for reason, count in population.left_out.items():
        print(f"warning: {count} pictures are left out: {reason}", file=sys.stderr)
    return make_pool(population, slices)


def run(args: argparse.Namespace) -> int:
    """Choose, write the selection file and say what it does."""
    from armseg_ros.data.selection import write_selection
    from armseg_ros.latent.select import SelectSettings, select
    from armseg_ros.latent.strategies import Strengths

    settings = SelectSettings(
        budget=args.budget,
        strategy=args.strategy,
        seed=args.seed,
        min_distance=args.min_distance,
        strengths=Strengths(args.error_strength, args.novelty_strength, args.balance_strength),
    )
    selection = select(load_pool(args.runs, args.slices), settings)
    write_selection(selection, args.output)
    figures = selection.summary
    print(
        f"{args.output}: {len(selection.picks)} of {figures['unlabelled']} unlabelled pictures; "
        f"mean predicted error {figures['mean_predicted_error']['chosen']}, "
        f"of all {figures['mean_predicted_error']['unlabelled']} "
        f"(from {figures['predicted_from']})"
    )
    if len(selection.picks) < args.budget:
        why = "no more are unlabelled"
        if len(selection.picks) < figures["unlabelled"]:
            why = f"no further one is {args.min_distance} from all chosen ones"
        print(f"fewer than the budget of {args.budget}: {why}", file=sys.stderr)
    return 0
