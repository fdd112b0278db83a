# SPDX-License-Identifier: Apache-2.0
"""Write a folder of pages about a run; they open without a server and without a network."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write pages about a run: figures, curves, slices, failures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run of 'armseg evaluate'")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--source",
        type=Path,
        help="where the pictures are, if not where the run found them; for a run of several "
        "sources the folder that holds them by name",
    )
    parser.add_argument("--image-topic", help="topic of the pictures, where a bag holds several")
    parser.add_argument(
        "--failures", type=int, default=200, help="most failures in the gallery; 0 shows none"
    )


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    from armseg_ros.errors import ConfigError
    from armseg_ros.evaluate.read_run import read_run

    if args.failures < 0:
        raise ConfigError(f"--failures is {args.failures}, expected 0 or more")
    try:
        from armseg_ros.report.build import build_report
    except ImportError as error:
        raise ConfigError(
            f"a report needs {error.name}: pip install 'armseg_ros[report]'"
        ) from error
    run = read_run(args.run_folder, features=False)
    if run.missing:
        print(f"note: {run.missing}")
    written = build_report(
        run,
        args.output,
        args.source,
        image_topic=args.image_topic,
        most_failures=args.failures,
    )
    for problem in written["problems"][:5]:
        print(f"note: {problem}")
    print(
        f"{args.output / 'index.html'}: {written['pictures']} pictures, "
        f"{written['failures']} failures in the gallery"
    )
    return 0
