# SPDX-License-Identifier: Apache-2.0
"""``samples.parquet`` (one row a picture) and ``instances.parquet`` (one row an instance)."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from armseg_ros.evaluate.counts import Counts, count_matches
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.evaluate.levels import match_levels
from armseg_ros.evaluate.split_columns import (
    INSTANCE_COLUMNS,
    SAMPLE_COLUMNS,
    prediction_cells,
    sample_cells,
    truth_cells,
)
from armseg_ros.types import CLASS_NAMES, Detections, Instances, StageTimes

STAGES = tuple(field.name for field in fields(StageTimes))
ROWS_PER_GROUP = 2000  # how much waits in memory

SCHEMA = {"armseg_schema": "2"}  # readers look here before they look for columns
_COUNT_COLUMNS = ("true_positives", "false_positives", "missed")
SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image_id", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("stamp_ns", pa.int64()),
        ("status", pa.string()),  # answered, dropped, failed
        ("reason", pa.string()),
        ("labelled", pa.bool_()),
        ("predictions", pa.int32()),  # all that were recorded, of any class
        ("objects_predicted", pa.int32()),  # at the operating threshold
        ("objects_truth", pa.int32()),  # null where unlabelled
        # Objects at the operating threshold and mask IoU 0.5; null where unlabelled.
        *((f"objects_{name}", pa.int32()) for name in _COUNT_COLUMNS),
        ("attributes", pa.string()),  # JSON
        *((f"{stage}_ms", pa.float32()) for stage in STAGES),
        ("round_trip_ms", pa.float32()),  # live only
        ("features", pa.list_(pa.float32())),
        *SAMPLE_COLUMNS,
    ],
    metadata=SCHEMA,
)
INSTANCES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image_id", pa.int64()),
        ("kind", pa.string()),  # prediction, operating (left out of the recorded ones) or truth
        ("index", pa.int32()),  # within the picture and kind
        ("class_id", pa.int32()),
        ("class_name", pa.string()),
        ("score", pa.float32()),  # null for truth
        *((name, pa.float32()) for name in ("x_min", "y_min", "x_max", "y_max")),  # source px
        ("area", pa.int64()),  # px of the mask
        ("crowd", pa.bool_()),
        # true_positive, false_positive, ignored; found, missed, ignored; null where unlabelled
        ("outcome", pa.string()),
        ("matched_index", pa.int32()),  # within the other kind; null without a match
        ("matched_score", pa.float32()),  # truth only: score of the prediction that found it
        ("matched_iou", pa.float32()),  # mask IoU with the match
        ("best_iou", pa.float32()),  # largest mask IoU within the class; null without truth
        # Prediction, bit n for IoU 0.5 + 0.05 n: where COCO has it right; where it excuses it.
        ("found_levels", pa.int16()),
        ("ignored_levels", pa.int16()),
        *INSTANCE_COLUMNS,
    ],
    metadata=SCHEMA,
)


class TableWriter:
    """Writes rows in groups, so that a run of any length fits in memory.

    A Parquet file has its index at its end: one that was not closed, as after a kill, does not
    open at all.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Create the file."""
        self._writer = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Add rows."""
        self._rows += rows
        if len(self._rows) >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left; only then the file can be read."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows = []


def sample_row(result: FrameResult, operating_threshold: float) -> dict[str, Any]:
    """Make the row of a picture in ``samples.parquet``."""
    row: dict[str, Any] = {
        "sample_id": result.sample_id,
        "image_id": result.image_id,
        "stamp_ns": result.stamp_ns,
        "status": result.status,
        "reason": result.reason,
        "labelled": result.truth is not None,
        "attributes": json.dumps(result.attributes, sort_keys=True),
    }
    if result.hw is not None:
        row |= {"height": result.hw[0], "width": result.hw[1]}
    if result.answer is None:
        return row
    answer = result.answer
    row |= {f"{stage}_ms": getattr(answer.times, stage) for stage in STAGES}
    row |= {"round_trip_ms": answer.round_trip_ms, "predictions": len(answer.detections)}
    row |= sample_cells(result)
    if answer.features is not None:
        row["features"] = answer.features.tolist()
    counts = count_matches(result, operating_threshold)[CLASS_NAMES[0]]
    row["objects_predicted"] = counts.predicted
    if result.truth is not None:
        row |= _count_cells(counts)
    return row


def _count_cells(counts: Counts) -> dict[str, int]:
    cells = {f"objects_{name}": getattr(counts, name) for name in _COUNT_COLUMNS}
    return {"objects_truth": counts.true_positives + counts.missed, **cells}


def instance_rows(result: FrameResult) -> list[dict[str, Any]]:
    """Make the rows of a picture in ``instances.parquet``: predictions, then ground truth."""
    if result.answer is None:
        return []
    rows = _prediction_rows(result)
    if result.operating is not None:
        rows += _operating_rows(result, rows)
    return rows if result.truth is None else rows + _truth_rows(result)


def _prediction_rows(result: FrameResult) -> list[dict[str, Any]]:
    assert result.answer is not None
    detections, matches = result.answer.detections, result.matches
    rows = _rows(result, detections, "prediction")
    for index, row in enumerate(rows):
        row |= {"score": float(detections.scores[index]), "operating": False}
        if matches is None:
            continue
        found = int(matches.truth_of[index])
        row["best_iou"] = float(matches.iou[index].max(initial=0.0))
        if found >= 0:
            row |= {"matched_index": found, "matched_iou": float(matches.iou[index, found])}
        missed = "ignored" if matches.ignored[index] else "false_positive"
        row["outcome"] = "true_positive" if found >= 0 else missed
    return rows if matches is None else _with_levels(result, rows)


def _with_levels(result: FrameResult, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert result.matches is not None
    assert result.truth is not None
    levels = match_levels(result.matches.iou, result.truth.crowd)
    for row, found, ignored in zip(rows, *(bits.tolist() for bits in levels), strict=True):
        row |= {"found_levels": found, "ignored_levels": ignored}
    return rows


def _operating_rows(result: FrameResult, recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fill the recorded rows; make those of instances that only the operating point has."""
    assert result.operating is not None
    operating = result.operating
    detections = operating.detections
    cells = prediction_cells(operating, result.judged)
    alone = np.flatnonzero(operating.recorded >= len(recorded))
    rows = _rows(result, _take(detections, alone), "operating") if len(alone) else []
    for row, index in zip(rows, alone.tolist(), strict=True):
        row |= {
            "index": int(operating.recorded[index]),
            "score": float(detections.scores[index]),
            **cells[index],
        }
    for place, extra in zip(operating.recorded.tolist(), cells, strict=True):
        if place < len(recorded):
            recorded[place] |= extra
    return rows


def _take(detections: Detections, rows: npt.NDArray[np.intp]) -> Detections:
    return Detections(
        boxes=detections.boxes[rows],
        class_ids=detections.class_ids[rows],
        masks=tuple(detections.masks[row] for row in rows),
        crowd=detections.crowd[rows],
        scores=detections.scores[rows],
    )


def _truth_rows(result: FrameResult) -> list[dict[str, Any]]:
    assert result.answer is not None
    assert result.truth is not None
    assert result.matches is not None
    matches, scores = result.matches, result.answer.detections.scores
    rows = _rows(result, result.truth, "truth")
    if result.judged is not None:
        for row, cells in zip(rows, truth_cells(result.judged, len(rows)), strict=True):
            row |= cells
    for index, row in enumerate(rows):
        found = int(matches.prediction_of[index])
        row["best_iou"] = float(matches.iou[:, index].max(initial=0.0))
        if found >= 0:
            row |= {
                "matched_index": found,
                "matched_iou": float(matches.iou[found, index]),
                "matched_score": float(scores[found]),
            }
        missed = "ignored" if result.truth.crowd[index] else "missed"
        row["outcome"] = "found" if found >= 0 else missed
    return rows


def _rows(result: FrameResult, instances: Instances, kind: str) -> list[dict[str, Any]]:
    boxes = instances.boxes.tolist()
    return [
        {
            "sample_id": result.sample_id,
            "image_id": result.image_id,
            "kind": kind,
            "index": index,
            "class_id": int(class_id),
            "class_name": CLASS_NAMES[class_id],
            **dict(zip(("x_min", "y_min", "x_max", "y_max"), boxes[index], strict=True)),
            "area": instances.masks[index].area,
            "crowd": bool(instances.crowd[index]),
        }
        for index, class_id in enumerate(instances.class_ids)
    ]
