# SPDX-License-Identifier: Apache-2.0
"""Pictures of a run in which a flag is right: the answer with its suspects, beside the truth."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from armseg_ros.config import QualityConfig
from armseg_ros.data.coco import CATEGORY_ID_OF_CLASS
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run
from armseg_ros.masks import decode_full, mask_box
from armseg_ros.overlay import draw_overlay
from armseg_ros.quality.draw import draw_suspects
from armseg_ros.quality.result import PairKind, Quality, SuspectPair, Verdict
from armseg_ros.types import Detections, Instances, Uint8Array

PANEL_PX = 560  # width of each half
Row = dict[str, Any]


def draw_examples(run: Run, each: int = 2) -> Uint8Array:
    """Draw pictures with a split object and pictures with a merging mask that the flags found.

    Everything at least as suspicious as the one that is right is marked, whether right or not.

    Args:
        run: Labelled, in process.
        each: Most pictures of either kind.

    Returns:
        (h, 2 * PANEL_PX, 3) uint8 BGR, one row a picture: left the answer, right ground truth.

    Raises:
        DataError: No flag of the run is right, or its pictures are not there any more.
    """
    by_picture: dict[str, list[Row]] = defaultdict(list)
    for row in run.instances.to_pylist():
        if row["operating"] or row["kind"] == "truth":
            by_picture[row["sample_id"]].append(row)
    chosen = _choose(by_picture, each)
    if not chosen:
        raise DataError(f"{run.folder}: no flag is right in this run, so there is nothing to show")
    documents = [_by_image(run.folder / n) for n in ("predictions.json", "ground_truth.json")]
    panels: dict[str, Uint8Array] = {}
    for item in open_source(Path(run.config["source"]), run.config["split"] or None):
        if item.sample_id in chosen and item.sample_id not in panels:
            rows = by_picture[item.sample_id]
            image_id = rows[0]["image_id"]
            panels[item.sample_id] = _panel(
                item.frame().image,
                rows,
                [document[image_id] for document in documents],
                chosen[item.sample_id],
            )
    missing = [name for name in chosen if name not in panels]
    if missing:
        raise DataError(f"{run.config['source']} does not hold {missing[0]} any more")
    return np.concatenate([panels[name] for name in chosen])


def _choose(by_picture: dict[str, list[Row]], each: int) -> dict[str, tuple[float, float]]:
    """Thresholds for over and under by picture; 2 marks nothing."""
    found: dict[str, list[tuple[float, str]]] = {"over": [], "under": []}
    for name, rows in by_picture.items():
        if any(row["kind"] == "operating" for row in rows):
            continue  # its mask is not in the run
        shown = {row["index"]: row for row in rows if row["kind"] == "prediction"}
        for row in shown.values():
            partner = shown.get(row["partner"] if row["partner"] is not None else -1)
            split = partner is not None and partner["seed_outcome"] == "over"
            if row["seed_outcome"] == "over" and split:
                found["over"].append((row["p_over"] or 0.0, name))
            if row["seed_outcome"] == "under":
                found["under"].append((row["p_under"] or 0.0, name))
    chosen: dict[str, tuple[float, float]] = {}
    for target, candidates in found.items():
        count = 0
        for p, name in sorted(candidates, reverse=True):
            if name not in chosen and count < each and p > 0:
                chosen[name] = (p, 2.0) if target == "over" else (2.0, p)
                count += 1
    return chosen


def _by_image(path: Path) -> dict[int, list[Row]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    records = document if isinstance(document, list) else document["annotations"]
    out: dict[int, list[Row]] = defaultdict(list)
    for record in records:
        out[record["image_id"]].append(record)
    return out


def _panel(
    image: Uint8Array,
    rows: list[Row],
    records: list[list[Row]],
    thresholds: tuple[float, float],
) -> Uint8Array:
    hw = image.shape[0], image.shape[1]
    shown = [row for row in rows if row["kind"] == "prediction"]
    found = _instances([records[0][row["index"]] for row in shown], hw)
    answer = Detections(
        found.boxes,
        found.class_ids,
        found.masks,
        found.crowd,
        np.array([row["score"] for row in shown], np.float32),
    )
    scale = PANEL_PX / hw[1]
    big = cv2.resize(image, (PANEL_PX, round(hw[0] * scale)), interpolation=cv2.INTER_AREA)
    left = draw_overlay(image, answer, scale) if scale < 1 else draw_overlay(image, answer)
    draw_suspects(left, answer, _suspects(shown, thresholds), min(scale, 1.0))
    right = draw_overlay(image, _instances(records[1], hw), min(scale, 1.0))
    size = (PANEL_PX, big.shape[0])
    halves = [half if half.shape[:2] == size[::-1] else cv2.resize(half, size)
              for half in (left, right)]  # fmt: skip
    out: Uint8Array = np.concatenate(halves, axis=1).astype(np.uint8, copy=False)
    return out


def _instances(records: list[Row], hw: tuple[int, int]) -> Instances:
    masks = tuple(decode_full(record["segmentation"], hw) for record in records)
    ours = {category: class_id for class_id, category in enumerate(CATEGORY_ID_OF_CLASS)}
    boxes = np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    class_ids = np.array([ours[record["category_id"]] for record in records], np.int32)
    return Instances(boxes, class_ids, masks, np.zeros(len(masks), np.bool_))


def _suspects(shown: list[Row], thresholds: tuple[float, float]) -> Quality:
    place = {row["index"]: k for k, row in enumerate(shown)}
    p_over, p_under = (
        np.array([row[name] or 0.0 for row in shown], np.float32) for name in ("p_over", "p_under")
    )
    partner = np.array([place.get(row["partner"], -1) for row in shown], np.int32)
    pairs = tuple(
        SuspectPair(int(k), int(partner[k]), PairKind.MERGE, float(p_over[k]))
        for k in np.flatnonzero((p_over >= np.float32(thresholds[0])) & (partner >= 0))
    )
    under = tuple(np.flatnonzero(p_under >= np.float32(thresholds[1])).tolist())
    nan = float("nan")
    return Quality(
        p_over, p_under, partner, nan, nan, Verdict.UNKNOWN, pairs, under, nan, QualityConfig()
    )
