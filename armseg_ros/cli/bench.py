# SPDX-License-Identifier: Apache-2.0
"""Measure the CPU time of each stage on a made-up 2448x2048 frame, on one thread."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armseg_ros.benchmark import Scene, StageCost
    from armseg_ros.types import Detections

HELP = "measure the CPU time of each stage"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg bench``."""
    parser.add_argument("--instances", type=int, default=12, help="instances in the frame, 1..32")
    parser.add_argument("--repeats", type=int, default=20, help="runs per stage, 1 or more")
    parser.add_argument("--model", type=Path, help="also measure this ONNX model")
    parser.add_argument(
        "--engines",
        action="store_true",
        help="compare engines and precisions, with --model (default: the shipped one) and --int8",
    )
    parser.add_argument(
        "--int8", type=Path, help="quantised model for --engines (default: the shipped one)"
    )
    parser.add_argument(
        "--node",
        action="store_true",
        help="measure a node over DDS instead: what it adds to the network, --repeats images",
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, help="most images a second for --node, in Hz"
    )


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from armseg_ros import benchmark
    from armseg_ros.backends.base import check_model_file
    from armseg_ros.config import require_range

    require_range("--instances", args.instances, 1, 32)
    require_range("--repeats", args.repeats, 1, 10000)
    require_range("--rate", args.rate, 0.01, 1000)
    if args.model:
        check_model_file(args.model)  # told before minutes of measuring
    scene = benchmark.make_scene(args.instances)
    if args.node:
        _print_node(args, scene)
        return 0
    costs, detections = benchmark.measure_stages(scene, args.repeats)
    run_lengths = costs.pop()
    full_frame = benchmark.measure_full_frame(scene, detections, max(1, args.repeats // 5))
    crops_ms = costs[-1].median_ms + run_lengths.median_ms
    print(f"{len(detections)} instances, {scene.image.shape[1]}x{scene.image.shape[0]}, CPU time")
    print(f"{'stage':40}{'median ms':>10}{'min ms':>10}")
    message = _measure_message(detections, args.repeats)
    flags = benchmark.measure_flags(scene, args.repeats)
    stages = [*costs, flags, message or run_lengths]
    for cost in stages:
        _print_row(cost.name, cost.median_ms, cost.minimum_ms)
    rest_ms = sum(cost.median_ms for cost in stages)
    least_ms = sum(cost.minimum_ms for cost in stages)
    _print_row("everything but the network", rest_ms, least_ms)
    others = [run_lengths] if message else []
    if args.model and not args.engines:
        others.append(_measure_model(args.model, args.repeats))
    for cost in [*others, full_frame]:
        _print_row(cost.name, cost.median_ms, cost.minimum_ms)
    print(f"full frames / (decode and masks + run-lengths): {full_frame.median_ms / crops_ms:.1f}")
    print(f"flags / decode and masks: {flags.median_ms / costs[-1].median_ms:.2f}")
    if args.engines:
        _print_engines(args, rest_ms)
    return 0


def _print_row(name: str, median_ms: float, minimum_ms: float) -> None:
    print(f"{name:40}{median_ms:10.2f}{minimum_ms:10.2f}")


def _measure_message(detections: Detections, repeats: int) -> StageCost | None:
    """Measure the making of the message; None where ROS is not installed."""
    if importlib.util.find_spec("rclpy") is None:
        return None
    from armseg_ros.benchmark import measure
    from armseg_ros.ros.messages import instance_array

    return measure("message, run-lengths included", lambda: instance_array(detections), repeats)


def _measure_model(model: Path, repeats: int) -> StageCost:
    from armseg_ros.backends.base import open_backend
    from armseg_ros.benchmark import measure_networks

    return measure_networks([open_backend(model, threads=1)], repeats)[0]


def _print_engines(args: argparse.Namespace, rest_ms: float) -> None:
    from armseg_ros.cli.bench_engines import print_engines
    from armseg_ros.models import default_model_path, int8_model_path

    model, int8 = args.model or default_model_path(), args.int8 or int8_model_path()
    print_engines(model, int8, args.repeats, rest_ms)


def _print_node(args: argparse.Namespace, scene: Scene) -> None:
    """Print what a node adds; without --model its network is made up and takes no time."""
    from armseg_ros.errors import ConfigError

    try:
        from armseg_ros.ros import bench_node
    except ImportError as error:
        raise ConfigError(f"--node needs ROS ({error}); source a workspace") from error
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="armseg_bench_") as folder:
        model = args.model or Path(folder) / "constant.onnx"
        if args.model is None:
            bench_node.write_constant_network(scene, model)
        cost = bench_node.measure_node(scene, model, args.repeats, args.rate)
    height, width = scene.image.shape[:2]
    print(f"{args.repeats} images of {width}x{height}, {cost.rate_hz:.1f} Hz, wall time")
    print(f"{'part':40}{'p50 ms':>10}{'p99 ms':>10}")
    parts = {
        "round trip": cost.round_trip,
        "network": cost.network,
        "everything but the network": cost.added,
        "  of which the node": cost.node,
        "  of which DDS, both ways": cost.transport,
    }
    for name, values in parts.items():
        _print_row(name, *map(float, np.percentile(values, (50, 99))))
