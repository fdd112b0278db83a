# SPDX-License-Identifier: Apache-2.0
"""The options of every verb that runs a network, and what they open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armseg_ros.backends.base import Backend


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, engine, precision and threads."""
    parser.add_argument("--model", type=Path, help="ONNX file (default: the shipped one)")
    parser.add_argument(
        "--backend",
        default="auto",
        help="tensorrt, openvino or onnxruntime; auto takes the fastest that works here",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        help="fp32, fp16, bf16 or int8; auto takes the engine's fastest that keeps the accuracy",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = engine's choice")


def open_engine(args: argparse.Namespace) -> Backend:
    """Load what the options name."""
    from armseg_ros.backends.base import open_backend

    return open_backend(args.model, args.backend, args.threads, precision=args.precision)
