# SPDX-License-Identifier: Apache-2.0
"""Show the whole chain: render totes, record a bag, start the node, evaluate it live over DDS.

Exits with 1 if any picture of the bag went unanswered.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armseg_ros.data.source import Source
    from armseg_ros.evaluate.settings import EvaluateConfig

HELP = "render totes, start the node and evaluate it live"

SIZE = (2448, 2048)  # the pictures of ARMBench
TIMEOUT_S = 60.0
DOMAIN_IDS = range(60, 100)  # one that hardly anybody uses, so that no other node answers

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg demo``."""
    parser.add_argument("-o", "--output", type=Path, default=Path("demo_output"), help="folder")
    parser.add_argument("-n", "--count", type=int, default=8, help="pictures in the bag")
    parser.add_argument("--seed", type=int, default=7, help="of the pictures")
    parser.add_argument("--model", type=Path, help="ONNX file (default: the shipped one)")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 if every picture was answered, else 1."""
    from armseg_ros.data.source import open_source
    from armseg_ros.evaluate.settings import EvaluateConfig
    from armseg_ros.evaluate.table_text import table_text

    source = open_source(_sample_bag(args.output / "totes", args.count, args.seed))
    config = EvaluateConfig()
    folder = _free_run_folder(args.output)
    summary = _evaluate_live(source, config, folder, args.model)
    print(table_text(summary))
    print(f"overlays: {folder / 'overlays'}")
    if not summary["complete"]:
        raise KeyboardInterrupt
    return 0 if summary["frames"]["answered"] == len(source) else 1


def _sample_bag(totes: Path, count: int, seed: int) -> Path:
    """Render the pictures and record the bag, unless an earlier demo has done so."""
    from armseg_ros.data.bag import write_bag_from_coco
    from armseg_ros.synthetic.write import write_coco

    folder = totes.with_name(f"{totes.name}_{count}_{seed}")
    bag = folder / "bag"
    if bag.is_dir():
        _log.info("%s: the bag of an earlier demo", bag)
        return bag
    workers = min(count, os.cpu_count() or 1)
    _log.info("%s: rendering %d totes of %dx%d", folder, count, *SIZE)
    write_coco(folder, count, seed, SIZE, split={"test": 1.0}, workers=workers, resume=True)
    write_bag_from_coco(folder, "test", bag)
    return bag


def _free_run_folder(output: Path) -> Path:
    """Name a run folder that does not exist: nothing written earlier is lost."""
    number = 1
    while (folder := output / f"run_{number}").exists():
        number += 1
    return folder


def _evaluate_live(
    source: Source, config: EvaluateConfig, folder: Path, model: Path | None
) -> dict[str, Any]:
    """Start the node in a process of its own and send it every picture, until a signal comes."""
    from armseg_ros.evaluate.interrupt import stop_on_signal
    from armseg_ros.evaluate.live import connected_to_node
    from armseg_ros.evaluate.run import evaluate
    from armseg_ros.ros.segmenter_process import start_segmenter_process

    # All else as on a cell: the flags are fitted to the node's own thresholds.
    parameters = {"image_transport": "raw", **({"model": str(model)} if model else {})}
    domain_id = DOMAIN_IDS[os.getpid() % len(DOMAIN_IDS)]
    os.environ["ROS_DOMAIN_ID"] = str(domain_id)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with stop_on_signal() as stop, start_segmenter_process(parameters) as node:
        _log.info("segmenter node started, process %d, ROS domain %d", node.pid, domain_id)

        def check() -> None:
            node.check_running()
            if stop():
                raise KeyboardInterrupt

        with connected_to_node("raw", TIMEOUT_S, check) as answerer:
            return evaluate(source, answerer, config, folder, stop=stop)
