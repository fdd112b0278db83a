# SPDX-License-Identifier: Apache-2.0
"""Measure a model on bags, COCO folders or plain pictures, and write a run folder.

The bag is read here, picture by picture, so none is lost. Without --live the model runs in this
process; with --live every picture goes through a running segmenter node, one at a time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armseg_ros.cli.engine_arguments import add_engine_arguments
from armseg_ros.config import require_range
from armseg_ros.errors import ConfigError

if TYPE_CHECKING:
    from armseg_ros.data.joined import NamedSource
    from armseg_ros.evaluate.answer import Answerer, EngineChoice
    from armseg_ros.evaluate.settings import EvaluateConfig

HELP = "measure a model on bags, COCO folders or pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    from armseg_ros.evaluate.settings import EvaluateConfig

    defaults = EvaluateConfig()
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="source",
        help="bag, COCO folder or file, pictures; or several, folders of them, patterns",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="run folder to write")
    parser.add_argument("--split", help="train, val or test, where the source holds several")
    parser.add_argument("--image-topic", help="topic of the pictures, where a bag holds several")
    add_engine_arguments(parser)
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=defaults.score_threshold,
        help="lowest score that is recorded; average precision needs the low ones",
    )
    parser.add_argument(
        "--iou-threshold", type=float, default=defaults.iou_threshold, help="suppression box IoU"
    )
    parser.add_argument(
        "--max-detections", type=int, default=defaults.max_detections, help="most per picture"
    )
    parser.add_argument(
        "--operating-threshold",
        type=float,
        default=defaults.operating_threshold,
        help="lowest score in overlays and in the counts of found and missed",
    )
    parser.add_argument(
        "--operating-iou-threshold",
        type=float,
        default=defaults.operating_iou_threshold,
        help="suppression box IoU of the node, for overlays, flags and split figures",
    )
    parser.add_argument("--flags", type=Path, help="quality model (default: the shipped one)")
    parser.add_argument(
        "--group-by", default="", help="attribute that names the scene, for intervals"
    )
    parser.add_argument(
        "--seed-compat",
        action="store_true",
        help="also give the split figures the way of Tensorleap's ARMBench example",
    )
    parser.add_argument(
        "--overlays", type=int, default=defaults.overlays, help="most overlays to draw"
    )
    parser.add_argument(
        "--limit", type=int, default=defaults.limit, help="most pictures of a source, 0 = all"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes, where there are several sources"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run of several sources")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="let this Dask cluster evaluate several sources"
    )
    parser.add_argument(
        "--live", action="store_true", help="ask a running segmenter node instead of a model"
    )
    parser.add_argument(
        "--transport",
        choices=("raw", "compressed"),
        default="raw",
        help="what the node listens to (its parameter image_transport)",
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds to wait for the node's answer"
    )
    parser.add_argument("--namespace", default="/", help="of the node and its topics, with --live")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the table.

    Returns:
        0 if every picture was answered; 2 if one could not be read, 1 if one had no answer.
    """
    from armseg_ros.data.joined import find_sources
    from armseg_ros.data.new_folder import refuse_used
    from armseg_ros.data.source import open_source
    from armseg_ros.evaluate.interrupt import stop_on_signal
    from armseg_ros.evaluate.run import evaluate
    from armseg_ros.evaluate.settings import EvaluateConfig
    from armseg_ros.evaluate.table_text import table_text

    config = EvaluateConfig(
        score_threshold=args.score_threshold,
        iou_threshold=args.iou_threshold,
        max_detections=args.max_detections,
        operating_threshold=args.operating_threshold,
        operating_iou_threshold=args.operating_iou_threshold,
        overlays=args.overlays,
        limit=args.limit,
        group_by=args.group_by,
        seed_compat=args.seed_compat,
    )
    if args.live and args.model is not None:
        raise ConfigError("--live asks a node, which has its own model; leave out --model")
    if args.live and (args.flags is not None or args.seed_compat):
        raise ConfigError(
            "--flags and --seed-compat need the network's answer, which no node tells"
        )
    named = find_sources(args.sources)
    with stop_on_signal() as stop:
        if len(named) == 1 and not (args.resume or args.dask):
            source = open_source(named[0].path, args.split, args.image_topic)
            refuse_used(args.output, "run folder")  # before a model is loaded for nothing
            with _answerer(args, config) as answerer:
                summary = evaluate(source, answerer, config, args.output, stop=stop)
        else:
            summary = _evaluate_many(args, named, config, stop)
    print(table_text(summary))
    if summary["data"].get("missing_sources"):
        return _tell_missing(args, summary, stop())
    if not summary["complete"]:
        frames = summary["frames"]
        done = sum(frames[key] for key in ("answered", "dropped", "failed"))
        raise KeyboardInterrupt(
            f"{args.output} holds {done} of {frames['total']} pictures, marked as incomplete"
        )
    if summary["frames"]["failed"]:
        return 2
    return 1 if summary["frames"]["dropped"] else 0


def _evaluate_many(
    args: argparse.Namespace,
    named: Sequence[NamedSource],
    config: EvaluateConfig,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    from armseg_ros.evaluate.answer import open_in_process
    from armseg_ros.evaluate.many import evaluate_many
    from armseg_ros.evaluate.runners import run_in_processes, run_on_dask
    from armseg_ros.evaluate.shards import ShardJob

    if args.live:
        raise ConfigError("--live asks one node about one source; name a single one")
    engine = _engine_choice(args)
    with open_in_process(engine, config) as answerer:  # a model that does not load is told now
        model_sha256 = answerer.provenance().sha256
    jobs = [
        ShardJob(
            source=entry,
            run=args.output.absolute(),
            config=config,
            engine=engine,
            model_sha256=model_sha256,
            split=args.split,
            image_topic=args.image_topic,
        )
        for entry in named
    ]
    require_range("--workers", args.workers, 1, 1024)
    return evaluate_many(
        jobs,
        lambda waiting, asked: (
            run_on_dask(waiting, args.dask, asked)
            if args.dask
            else run_in_processes(waiting, args.workers, asked)
        ),
        resume=args.resume,
        stop=stop,
    )


def _tell_missing(args: argparse.Namespace, summary: dict[str, Any], stopped: bool) -> int:
    """Name the sources that are not in the run; 2, or an interrupt where somebody stopped it."""
    missing = summary["data"]["missing_sources"]
    if stopped:
        raise KeyboardInterrupt(f"{args.output} lacks {len(missing)} sources; go on with --resume")
    for name, reason in missing.items():
        print(f"missing {name}: {reason}")
    return 2


def _engine_choice(args: argparse.Namespace) -> EngineChoice:
    """Share the cores among the workers where nobody says how many threads each may have."""
    import os

    from armseg_ros.evaluate.answer import EngineChoice

    threads = args.threads
    if threads == 0 and args.workers > 1:
        threads = max(1, (os.cpu_count() or 1) // args.workers)
    return EngineChoice(args.model, args.backend, threads, args.precision, args.flags)


@contextmanager
def _answerer(args: argparse.Namespace, config: EvaluateConfig) -> Iterator[Answerer]:
    from armseg_ros.evaluate.answer import open_in_process
    from armseg_ros.evaluate.live import connected_to_node

    if args.live:
        with connected_to_node(args.transport, args.timeout, namespace=args.namespace) as node:
            yield node
        return
    with open_in_process(_engine_choice(args), config) as answerer:
        yield answerer
