# SPDX-License-Identifier: Apache-2.0
"""Show the latent space of runs of one model as a map of pictures, to look at and to choose from.

Writes a folder whose index.html opens from disk, without a server or a network.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

from armseg_ros.errors import ConfigError

HELP = "map the pictures of runs by what the model sees in them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of 'armseg evaluate'")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--map",
        choices=("auto", "tsne", "pca"),
        default="auto",
        help="tsne: t-SNE; pca: two principal components, in a moment; auto: t-SNE, and the "
        "components below 4 pictures",
    )
    parser.add_argument("--onto", type=Path, help="explorer on whose map to place the pictures")
    parser.add_argument("--selection", type=Path, help="selection file to show on the map")
    parser.add_argument(
        "--neighbours", type=int, default=12, help="nearest pictures to list of each"
    )
    parser.add_argument("--seed", type=int, default=0, help="of map and clusters")
    parser.add_argument(
        "--pictures", type=Path, help="where the pictures of a run are, if they were moved"
    )
    parser.add_argument("--no-thumbnails", action="store_true", help="do not read the pictures")


def run(args: argparse.Namespace) -> int:
    """Write the explorer and say where it is."""
    try:
        from armseg_ros.latent.explorer.build import ExplorerConfig, build_explorer
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    if args.pictures is not None and len(args.runs) > 1:
        raise ConfigError("--pictures says where those of one run are; name one run with it")
    config = ExplorerConfig(
        method=args.map,
        neighbours=args.neighbours,
        seed=args.seed,
        thumbnails=not args.no_thumbnails,
        pictures=args.pictures,
        onto=args.onto,
        selection=args.selection,
    )
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        notes = build_explorer(args.runs, args.output, config, date)
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    for note in notes:
        print(note)
    print(f"open {args.output / 'index.html'}")
    return 0


def _not_installed(error: ModuleNotFoundError) -> Exception:
    """Say what to install; what is no part of the extra is a fault of ours."""
    packages = {"sklearn": "scikit-learn", "jinja2": "jinja2"}
    package = packages.get((error.name or "").split(".")[0])
    if package is None:
        return error
    return ConfigError(f"this needs {package}, which 'pip install armseg_ros[latent]' installs")
