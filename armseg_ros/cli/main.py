# SPDX-License-Identifier: Apache-2.0
"""The ``armseg`` command: one file per verb, errors as one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import importlib
import itertools
import logging
import sys
from collections.abc import Sequence
from importlib import metadata

from armseg_ros.errors import ArmsegError, ConfigError
from armseg_ros.threads import use_one_blas_thread

VERBS = (
    "segment", "evaluate", "report", "compare", "explore", "bag", "bench", "demo", "synth",
    "train", "export", "quantize", "quality", "engine", "doctor", "soak",
    "select", "prune", "check", "apply",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 on success, 1 where a verb says so (a check that failed), 2 on a mistake in the input or
        a file that cannot be used (said in one line on stderr), 130 after Ctrl-C; what a verb
        knows of its state then is the text of its ``KeyboardInterrupt``.
    """
    use_one_blas_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = list(sys.argv[1:] if arguments is None else arguments)
    parsed = build_parser().parse_args(words)
    try:
        _refuse_blank_paths(words)
        code: int = parsed.run(parsed)
    except ArmsegError as error:
        print(f"armseg {parsed.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        state = f"; {interrupt}" if str(interrupt) else ""
        print(f"armseg {parsed.verb}: interrupted{state}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away (armseg ... | head)
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"armseg {parsed.verb}: {_describe(error)}", file=sys.stderr)
        return 2
    return code


def _refuse_blank_paths(words: Sequence[str]) -> None:
    """Refuse a blank argument or output, which would mean the current folder with all it holds.

    Options other than the output may be blank.

    Raises:
        ConfigError: One is blank.
    """
    for before, word in itertools.pairwise(words):
        if not word.strip() and (before in ("-o", "--output") or not before.startswith("-")):
            raise ConfigError(
                f"the argument after {before} is blank; give a path, or . for the current folder "
                "(is a variable of the shell empty?)"
            )


def _describe(error: OSError) -> str:
    """Name the file and what the operating system says of it."""
    if error.filename is None:
        return str(error)
    return f"{error.filename} cannot be used: {error.strerror}; check the path and its permissions"


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tell a default once, and only where it says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is None or action.default is False or action.default in ("", [])
        silent = nothing or "(default" in (action.help or "")
        return action.help if silent else super()._get_help_string(action)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of every verb; heavy libraries stay unloaded until a verb runs."""
    parser = argparse.ArgumentParser(
        prog="armseg", description="Instance segmentation of totes, and its evaluation."
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        module = importlib.import_module(f"armseg_ros.cli.{verb}")
        subparser = subparsers.add_parser(
            verb,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=_HelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _version() -> str:
    try:
        return f"armseg_ros {metadata.version('armseg_ros')}"
    except metadata.PackageNotFoundError:
        return "armseg_ros (source tree, not installed)"


if __name__ == "__main__":
    sys.exit(main())
