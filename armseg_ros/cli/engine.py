# SPDX-License-Identifier: Apache-2.0
"""Build TensorRT engines before the robot starts, look into them, hold them against their model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from armseg_ros.backends.base import check_model_file
from armseg_ros.config import require_range

if TYPE_CHECKING:
    from armseg_ros.backends.tensorrt.engine import BuildSettings, Listener

HELP = "build, inspect and verify TensorRT engines"
PROGRESS_STEPS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg engine``."""
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_build(verbs)
    inspect = verbs.add_parser("inspect", help="say what an engine was built for, and if it fits")
    inspect.add_argument("engine", type=Path, help="engine file")
    verify = verbs.add_parser("verify", help="compare an engine with ONNX Runtime on pictures")
    _add_settings(verify)
    verify.add_argument("--pictures", type=Path, help="folder; without it, the self-test's picture")
    verify.add_argument("--limit", type=int, default=20, help="most pictures, 1 or more")


def _add_build(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = verbs.add_parser("build", help="build the engine of a model on this GPU")
    _add_settings(build)
    build.add_argument(
        "--level", type=int, help="0 builds quickest, 5 runs quickest; else 3, or what is there"
    )
    build.add_argument(
        "--workspace", type=int, default=0, metavar="MIB", help="scratch memory; 0: by what is free"
    )
    build.add_argument("--force", action="store_true", help="build it even where one fits")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    from armseg_ros.models import default_model_path

    parser.add_argument(
        "model", type=Path, nargs="?", default=default_model_path(), help="ONNX file"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "fp16", "fp32", "int8"),
        default="auto",
        help="int8 wants a quantised model; auto is int8 for one, else fp16",
    )
    parser.add_argument("--size", type=int, default=640, help="side of inputs that are open")
    parser.add_argument(
        "--folder", type=Path, help="of engines; else $ARMSEG_ENGINES or the user's cache"
    )


def run(args: argparse.Namespace) -> int:
    """Do what is asked.

    Returns:
        0; 1 where an engine does not answer as its model.
    """
    actions = {"build": _build, "inspect": _inspect, "verify": _verify}
    return actions[args.action](args)


def _build(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from armseg_ros.backends.tensorrt.engine import engine_path, ensure_engine
    from armseg_ros.backends.tensorrt.environment import look

    settings = replace(
        _settings(args),
        rebuild="always" if args.force else "auto",
        optimization_level=args.level,
        workspace_mib=args.workspace,
    )
    check_model_file(args.model)
    environment = look()
    environment.require()
    path = engine_path(args.model, settings)
    with tqdm(total=PROGRESS_STEPS, unit="", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        listener = _listener(bar)
        ensure_engine(args.model, environment, settings, listener)
    print(path)
    return 0


def _listener(bar: object) -> Listener:
    from tqdm import tqdm

    from armseg_ros.backends.tensorrt.engine import Listener

    assert isinstance(bar, tqdm)

    def progress(fraction: float) -> None:
        bar.update(round(fraction * PROGRESS_STEPS) - bar.n)

    return Listener(say=bar.write, progress=progress)


def _inspect(args: argparse.Namespace) -> int:
    from armseg_ros.backends.tensorrt.engine_file import read_engine
    from armseg_ros.backends.tensorrt.environment import look
    from armseg_ros.backends.tensorrt.inspection import describe

    engine = read_engine(args.engine)
    print(f"file                {args.engine}")
    for name, value in describe(engine, look()):
        print(f"{name:20}{value}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from armseg_ros.backends.tensorrt import open_tensorrt
    from armseg_ros.backends.tensorrt.verification import verify

    require_range("--limit", args.limit, 1, 1_000_000)
    check_model_file(args.model)
    backend = open_tensorrt(args.model, _settings(args))
    try:
        agreement = verify(backend, args.model, args.pictures, args.limit)
    finally:
        backend.close()
    print(agreement)
    return 0 if agreement.holds else 1


def _settings(args: argparse.Namespace) -> BuildSettings:
    from armseg_ros.backends.tensorrt.engine import BuildSettings

    return BuildSettings(precision=args.precision, folder=args.folder, network_size=args.size)
