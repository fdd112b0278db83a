# SPDX-License-Identifier: Apache-2.0
"""Measure the CPU time of each stage on a 2448x2048 frame, one thread, ratios in one run."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armseg_ros.benchmark import StageCost

HELP = "measure the CPU time of each stage"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg bench``."""
    parser.add_argument("--instances", type=int, default=12, help="instances in the frame, 1..32")
    parser.add_argument("--repeats", type=int, default=20, help="runs per stage, 1 or more")
    parser.add_argument("--model", type=Path, help="also measure this ONNX model")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from armseg_ros import benchmark
    from armseg_ros.config import require_range

    require_range("--instances", args.instances, 1, 32)
    require_range("--repeats", args.repeats, 1, 10000)
    scene = benchmark.make_scene(args.instances)
    costs, detections = benchmark.measure_stages(scene, args.repeats)
    full_frame = benchmark.measure_full_frame(scene, detections, max(1, args.repeats // 5))
    crops = sum(cost.median_ms for cost in costs[1:])
    if importlib.util.find_spec("rclpy"):
        from armseg_ros.ros.messages import instance_array

        costs.append(
            benchmark.measure(
                "message (run-lengths included)", lambda: instance_array(detections), args.repeats
            )
        )
    if args.model:
        costs.append(_measure_model(args.model, args.repeats))
    print(f"{len(detections)} instances, {scene.image.shape[1]}x{scene.image.shape[0]}, CPU time")
    print(f"{'stage':40}{'median ms':>10}{'min ms':>10}")
    for cost in [*costs, full_frame]:
        print(f"{cost.name:40}{cost.median_ms:10.2f}{cost.minimum_ms:10.2f}")
    print(f"full frames / (decode and masks + run-lengths): {full_frame.median_ms / crops:.1f}")
    return 0


def _measure_model(model: Path, repeats: int) -> StageCost:
    from armseg_ros.backends.base import open_backend
    from armseg_ros.benchmark import measure_network

    return measure_network(open_backend(model, threads=1), repeats)
