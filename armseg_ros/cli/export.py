# SPDX-License-Identifier: Apache-2.0
"""Turn a training run or checkpoint into an ONNX file for the segmenter."""

from __future__ import annotations

import argparse
from pathlib import Path

from armseg_ros.errors import ConfigError

HELP = "turn a training run or checkpoint into ONNX"
DEFAULT_SIZE = "640x640"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", type=Path, help="run folder (its best.pt) or checkpoint (.pt)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="ONNX file to write")
    parser.add_argument(
        "--size",
        metavar="HxW",
        help="network input size (the last of the training; 640x640 where the file names none)",
    )
    parser.add_argument("--half", action="store_true", help="float16 inside, half the file size")


def run(args: argparse.Namespace) -> int:
    """Export, compare with PyTorch, say how far they differ; return 0."""
    import logging

    import numpy as np

    try:
        from armseg_ros.train import export
        from armseg_ros.train.settings import SizeStage
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"export needs {error.name}, which is not installed: pip install 'armseg_ros[train]'"
        ) from error
    log = logging.getLogger(__name__)
    size = SizeStage.parse(args.size) if args.size is not None else None
    source = export.read_source(args.source)
    size = size or SizeStage.parse(source.info.get("training_sizes", DEFAULT_SIZE).split(", ")[-1])
    hw = (size.height, size.width)
    export.export_onnx(source, args.output, hw, args.half)
    log.info("%s: %dx%d, %d kB", args.output, *hw, args.output.stat().st_size // 1000)
    image = np.random.default_rng(0).random((1, 3, *hw), np.float32)
    difference = export.largest_difference(source, args.output, image)
    if difference is None:
        log.info("onnxruntime is not installed: not compared with PyTorch")
    else:
        parts = ", ".join(f"{name} {value:.2g}" for name, value in difference.items())
        log.info("largest difference from float32 PyTorch: %s", parts)
    return 0
