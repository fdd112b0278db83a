# SPDX-License-Identifier: Apache-2.0
"""Make the int8 version of a model: a quarter of the size, about twice as fast on a CPU.

Measure what it costs with 'armseg evaluate' on pictures that it was not calibrated with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from armseg_ros.errors import ConfigError, DataError

HELP = "turn an ONNX model into int8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", type=Path, help="ONNX file, float32 or float16")
    parser.add_argument("-o", "--output", type=Path, required=True, help="ONNX file to write")
    parser.add_argument(
        "--calibrate", type=Path, required=True, metavar="DATA",
        help="bag, COCO folder or pictures like those that it will see",
    )  # fmt: skip
    parser.add_argument("--split", help="train, val or test, where DATA holds several")
    parser.add_argument("--pictures", type=int, default=64, help="most to calibrate with")
    parser.add_argument(
        "--engine", choices=("cpu", "tensorrt"), default="cpu", help="what will run the output"
    )


def run(args: argparse.Namespace) -> int:
    """Quantise, compare with the float model on some of the pictures, say how far they agree."""
    from armseg_ros.backends.base import open_backend
    from armseg_ros.config import require_range
    from armseg_ros.data.source import open_source

    try:
        from armseg_ros.quantize.agreement import compare
        from armseg_ros.quantize.pictures import chosen_frames, network_input
        from armseg_ros.quantize.static import quantize
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"quantize needs {error.name}, which is not installed: "
            "pip install 'armseg_ros[quantize]'"
        ) from error
    require_range("--pictures", args.pictures, 1, 10000)
    if args.output.resolve() == args.model.resolve():
        raise ConfigError(f"{args.output}: is the model itself; name another output")
    if args.output.is_dir():
        raise ConfigError(f"{args.output}: is a folder; give the path of the file to write")
    if not args.output.parent.is_dir():
        raise DataError(f"{args.output}: the folder does not exist; make it first")
    plain = open_backend(args.model)
    source = open_source(args.calibrate, args.split)
    frames = chosen_frames(source, args.pictures)
    count = min(args.pictures, len(source))
    quantize(
        args.model,
        (network_input(frame, plain.model.network_hw) for frame in frames),
        args.output,
        engine=args.engine,
        description=f"{count} pictures of {source.path.name} {source.split or ''}".strip(),
    )
    small = open_backend(args.output)
    print(f"{args.output}: {args.output.stat().st_size // 1000} kB, {small.model.model_id}")
    print(compare(plain, small, chosen_frames(source, min(args.pictures, 8))))
    return 0
