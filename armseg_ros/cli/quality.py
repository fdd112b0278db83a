# SPDX-License-Identifier: Apache-2.0
"""Fit the flags for split and merged objects to a detector, and check them on other totes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "fit and check the flags for split and merged objects"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the steps of ``armseg quality``."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    _add_collect(steps.add_parser("collect", help="segment labelled pictures, keep the features"))
    fit = steps.add_parser("fit", help="fit the flags to collected pictures")
    fit.add_argument("tables", type=Path, nargs="+", metavar="RUN", help="collected folders")
    fit.add_argument("-o", "--output", type=Path, required=True, help="model file (JSON) to write")
    fit.add_argument(
        "--same-weights", type=Path, nargs="*", default=[], metavar="FILE",
        help="further files of the same weights, such as an engine built from them",
    )  # fmt: skip
    fit.add_argument("--seed", type=int, default=0, help="of folds and trees")
    check = steps.add_parser("check", help="measure the flags on other pictures")
    check.add_argument("tables", type=Path, nargs="+", metavar="RUN", help="collected folders")
    check.add_argument("--flags", type=Path, required=True, help="model file of 'fit'")
    check.add_argument("-o", "--output", type=Path, help="folder for check.json and the plot")
    check.add_argument("--page", type=Path, help="Markdown page to write the figures into")
    examples = steps.add_parser("examples", help="draw pictures in which a flag is right")
    examples.add_argument("run_folder", type=Path, metavar="RUN", help="of armseg evaluate")
    examples.add_argument("-o", "--output", type=Path, required=True, help="picture to write")
    examples.add_argument("--each", type=int, default=2, help="pictures of either kind, 1 or more")
    accept = steps.add_parser("accept", help="let the flags judge a quantised file as well")
    accept.add_argument("known", type=Path, metavar="RUN", help="run of the file they know")
    accept.add_argument("other", type=Path, metavar="OTHER_RUN", help="same pictures, other file")
    accept.add_argument("--flags", type=Path, required=True, help="model file of 'fit'")
    accept.add_argument("-o", "--output", type=Path, required=True, help="model file to write")


def _add_collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="bag or COCO folder with ground truth")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--model", type=Path, help="ONNX file of the detector; default: shipped")
    parser.add_argument("--split", help="train, val or test, where the source holds several")
    parser.add_argument("--score-threshold", type=float, default=0.25, help="as in the node")
    parser.add_argument("--iou-threshold", type=float, default=0.45, help="as in the node")
    parser.add_argument("--group-by", default="", help="attribute that names the scene")
    parser.add_argument("--limit", type=int, default=0, help="most pictures; 0 takes all")
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0: its choice")
    parser.add_argument(
        "--deployed-only", action="store_true",
        help="leave out the further thresholds that make more examples for fitting",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run one step."""
    steps = {
        "collect": _collect,
        "fit": _fit,
        "check": _check,
        "accept": _accept,
        "examples": _examples,
    }
    return steps[args.step](args)


def _collect(args: argparse.Namespace) -> int:
    from armseg_ros.backends.base import open_backend
    from armseg_ros.config import DecodeConfig, SegmenterConfig, require_range
    from armseg_ros.data.source import open_source
    from armseg_ros.models import default_model_path
    from armseg_ros.quality.collect import collect
    from armseg_ros.quality.table import TABLE_NAME, save_table

    require_range("--limit", args.limit, 0, 10**9)
    source = open_source(args.source, args.split)
    decode = DecodeConfig(score_threshold=args.score_threshold, iou_threshold=args.iou_threshold)
    folder = _folder(args.output)
    backend = open_backend(args.model or default_model_path(), threads=args.threads)
    table = collect(
        source,
        backend,
        SegmenterConfig(decode),
        variants=not args.deployed_only,
        group_by=args.group_by,
        limit=args.limit,
    )
    save_table(table, folder / TABLE_NAME)
    deployed = table.variant[table.picture] == 0
    print(
        f"{folder / TABLE_NAME}: {table.origin['pictures']} pictures, {deployed.sum()} objects, "
        f"{table.over[deployed].sum()} of split ones, {table.under[deployed].sum()} merging"
    )
    return 0


def _fit(args: argparse.Namespace) -> int:
    from armseg_ros.backends.model_info import file_sha256
    from armseg_ros.errors import DataError
    from armseg_ros.quality.fit import fit
    from armseg_ros.quality.table import join_tables, load_table

    missing = [str(path) for path in args.same_weights if not path.is_file()]
    if missing:
        raise DataError(f"{', '.join(missing)}: no such model file")
    table = join_tables([load_table(path) for path in args.tables])
    model = fit(table, [file_sha256(path) for path in args.same_weights], args.seed)
    _folder(args.output.parent)
    model.save(args.output)
    print(f"{args.output}: fitted {', '.join(model.classifiers)}")
    for target, reason in model.unfitted.items():
        print(f"not fitted: {target}, {reason}")
    return 0


def _check(args: argparse.Namespace) -> int:
    import json

    from armseg_ros.quality.check import check
    from armseg_ros.quality.model import load_quality_model
    from armseg_ros.quality.sheet import reliability_svg, sheet_text
    from armseg_ros.quality.table import join_tables, load_table

    table = join_tables([load_table(path) for path in args.tables])
    sheet = check(load_quality_model(args.flags), table)
    print(sheet_text(sheet))
    if args.output:
        folder = _folder(args.output)
        text = json.dumps(sheet, indent=2, allow_nan=False)
        (folder / "check.json").write_text(text + "\n", encoding="utf-8")
        (folder / "reliability.svg").write_text(reliability_svg(sheet), encoding="utf-8")
    if args.page:
        _refresh(args.page, sheet)
    return 0


def _examples(args: argparse.Namespace) -> int:
    import cv2

    from armseg_ros.config import require_range
    from armseg_ros.errors import DataError
    from armseg_ros.evaluate.read_run import read_run
    from armseg_ros.quality.examples import draw_examples

    require_range("--each", args.each, 1, 100)
    if args.output.suffix not in (".jpg", ".png"):
        raise DataError(f"{args.output}: examples are written as .jpg or .png; name such a file")
    drawn = draw_examples(read_run(args.run_folder), args.each)
    _folder(args.output.parent)
    if not cv2.imwrite(str(args.output), drawn, [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise DataError(f"{args.output} cannot be written; is the disk full?")
    return 0


def _refresh(page: Path, sheet: dict[str, Any]) -> None:
    from armseg_ros.errors import DataError
    from armseg_ros.quality.page import refresh_page

    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{page}: cannot be read ({error.strerror})") from error
    page.write_text(refresh_page(text, sheet), encoding="utf-8")


def _accept(args: argparse.Namespace) -> int:
    from armseg_ros.quality.accept import accept
    from armseg_ros.quality.model import load_quality_model
    from armseg_ros.quality.table import load_table

    flags = load_quality_model(args.flags)
    wider, sentences = accept(flags, load_table(args.known), load_table(args.other))
    _folder(args.output.parent)
    wider.save(args.output)
    print("\n".join((*sentences, f"{args.output}: knows {', '.join(wider.detectors)}")))
    return 0


def _folder(path: Path) -> Path:
    from armseg_ros.errors import DataError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot make this folder ({error.strerror})") from error
    return path
