# SPDX-License-Identifier: Apache-2.0
"""Annotations that a confident model disagrees with; a person has to look who is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from armseg_ros.data.check.finding import Finding
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run
from armseg_ros.masks import box_iou
from armseg_ros.types import OBJECT, Float32Array

CONFIDENT = 0.7
"""Lowest score of a prediction that may accuse an annotation."""
NOWHERE_IOU = 0.1  # of a mask with the best annotation: there is none here
OTHER_CLASS_IOU = 0.8  # of boxes
SAME_PLACE_IOU = 0.7  # of boxes: the same thing is meant
_COLUMNS = (
    "sample_id", "kind", "index", "class_id", "class_name", "score",
    "x_min", "y_min", "x_max", "y_max", "crowd", "matched_index", "best_iou",
)  # fmt: skip


def check_suspects(run: Run, source_of: Mapping[str, str]) -> Iterator[Finding]:
    """Hold the labels against the predictions of a run on the same pictures.

    Args:
        run: The run.
        source_of: Split of each picture to look at; others are left out.

    Raises:
        DataError: The run has none of the pictures, or no ground truth of any.
    """
    table = run.read_instances(_COLUMNS)
    by_picture: dict[str, list[dict[str, Any]]] = {}
    for batch in table.to_batches():
        for row in batch.to_pylist():
            wanted = row["kind"] == "truth" or row["score"] >= CONFIDENT
            if wanted and row["sample_id"] in source_of:
                by_picture.setdefault(row["sample_id"], []).append(row)
    if not any(row["kind"] == "truth" for rows in by_picture.values() for row in rows):
        raise DataError(
            f"{run.folder}: has no ground truth of any of the {len(source_of)} pictures; evaluate "
            "the labelled data that is checked, one source at a time"
        )
    for sample_id in sorted(by_picture):
        rows = by_picture[sample_id]
        truth = [row for row in rows if row["kind"] == "truth"]
        sure = [row for row in rows if row["kind"] == "prediction"]
        if truth and sure:
            yield from _check_picture(truth, sure, source_of[sample_id], sample_id)


def _check_picture(
    truth: list[dict[str, Any]], sure: list[dict[str, Any]], source: str, sample_id: str
) -> Iterator[Finding]:
    iou = box_iou(_boxes(truth), _boxes(sure))
    for place, row in enumerate(truth):
        if row["matched_index"] is not None or row["crowd"]:
            continue
        best = int(np.argmax(iou[place]))
        against, overlap = sure[best], float(iou[place, best])
        name, score = against["class_name"], against["score"]
        words = f"{name} (score {score:.2f}, box IoU {overlap:.2f})"
        if against["class_id"] != row["class_id"] and overlap >= OTHER_CLASS_IOU:
            detail, rule = f"labelled {row['class_name']}, predicted {words}", "wrong-class"
        elif against["class_id"] == row["class_id"] and overlap >= SAME_PLACE_IOU:
            detail, rule = f"matched by nothing, but near a predicted {words}", "bad-outline"
        else:
            continue
        yield Finding(
            rule, source, sample_id, detail, annotation=row["index"], score=against["score"]
        )
    for place, row in enumerate(sure):
        if row["class_id"] != OBJECT or (row["best_iou"] or 0.0) >= NOWHERE_IOU:
            continue
        same = [k for k, label in enumerate(truth) if label["class_id"] == OBJECT]
        if same and iou[same, place].max() >= NOWHERE_IOU:
            continue
        x, y = round(row["x_min"]), round(row["y_min"])
        detail = f"no annotation at ({x}, {y}), where an Object of score {row['score']:.2f} is seen"
        yield Finding("overlooked-object", source, sample_id, detail, score=row["score"])


def _boxes(rows: list[dict[str, Any]]) -> Float32Array:
    names = ("x_min", "y_min", "x_max", "y_max")
    return np.array([[row[name] for name in names] for row in rows], np.float32)
