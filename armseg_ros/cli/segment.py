# SPDX-License-Identifier: Apache-2.0
"""Find the instances in pictures: COCO results in source pixels, and overlays to look at."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from armseg_ros.cli.engine_arguments import add_engine_arguments, open_engine
from armseg_ros.errors import DataError

if TYPE_CHECKING:
    from armseg_ros.data.folder import FolderSource
    from armseg_ros.segmenter import Segmenter

HELP = "find the instances in pictures"

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files or folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    add_engine_arguments(parser)
    parser.add_argument("--score-threshold", type=float, default=0.25, help="lowest score")


def run(args: argparse.Namespace) -> int:
    """Segment all pictures; those that do not decode are named, and exit code 2 tells of them."""
    from armseg_ros.config import DecodeConfig, SegmenterConfig
    from armseg_ros.data.folder import FolderSource
    from armseg_ros.segmenter import Segmenter

    config = SegmenterConfig(DecodeConfig(score_threshold=args.score_threshold))
    source = FolderSource(args.pictures)
    _refuse_to_overwrite(args.output)
    backend = open_engine(args)
    try:
        failed = _segment_all(source, Segmenter(backend, config), args.output)
    finally:
        backend.close()
    print(f"{args.output}: {len(source) - failed} of {len(source)} pictures segmented")
    return 2 if failed else 0


def _segment_all(source: FolderSource, segmenter: Segmenter, folder: Path) -> int:
    """Write predictions and overlays as they come; return how many pictures failed."""
    from tqdm import tqdm

    from armseg_ros.data.coco_records import result_records
    from armseg_ros.data.model_classes import as_drawn, categories_of, category_numbering
    from armseg_ros.evaluate.documents import JsonList
    from armseg_ros.evaluate.overlays import OverlayFolder

    names = segmenter.backend.model.class_names
    overlays = OverlayFolder(folder / "overlays", len(source), len(source), 0.0)
    (folder / "categories.json").write_text(json.dumps(categories_of(names)), encoding="utf-8")
    predictions = JsonList(folder / "predictions.json")
    failed = index = 0
    try:
        for index, item in enumerate(tqdm(source, desc="segmenting", disable=None)):
            try:
                frame = item.frame()
            except DataError as error:
                _log.warning("%s", error)
                failed += 1
                continue
            detections = segmenter.segment(frame).detections
            predictions.extend(
                result_records(detections, item.sample_id, frame.hw, category_numbering(names))
            )
            overlays.add(index, frame, as_drawn(detections, names))
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"{folder} holds the {index} pictures before") from interrupt
    finally:
        predictions.close()
    return failed


def _refuse_to_overwrite(folder: Path) -> None:
    for name in ("predictions.json", "categories.json"):
        if (folder / name).exists():
            raise DataError(f"{folder / name} exists already; choose another folder or remove it")
