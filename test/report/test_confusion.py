# SPDX-License-Identifier: Apache-2.0
"""The confusion matrix, with answers by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from armseg_ros.evaluate.tables import INSTANCES
from armseg_ros.report.confusion import COLUMNS, confusion_matrix
from armseg_ros.types import OBJECT, TOTE


def row(kind: str, class_id: int, left: float, **more: Any) -> dict[str, Any]:
    box = {"x_min": left, "y_min": 0.0, "x_max": left + 10, "y_max": 10.0}
    return {"image_id": 1, "kind": kind, "class_id": class_id, "crowd": False, **box, **more}


def matrix(rows: list[dict[str, Any]]) -> list[list[int]]:
    table = pa.Table.from_pylist(rows, INSTANCES).select(COLUMNS)
    out: list[list[int]] = confusion_matrix(table, 0.25).tolist()
    return out


def test_every_cell_by_hand() -> None:
    assert matrix([
        row("prediction", OBJECT, 0, score=0.9, outcome="true_positive"),
        row("truth", OBJECT, 0, outcome="found", matched_score=0.9),
        row("prediction", TOTE, 20, score=0.8, outcome="false_positive"),  # is an Object
        row("truth", OBJECT, 21, outcome="missed"),
        row("prediction", OBJECT, 40, score=0.7, outcome="false_positive"),  # is nothing
        row("truth", TOTE, 80, outcome="missed"),
        row("prediction", OBJECT, 100, score=0.2, outcome="true_positive"),  # below the threshold
        row("truth", OBJECT, 100, outcome="found", matched_score=0.2),
        row("truth", OBJECT, 120, outcome="ignored") | {"crowd": True},
        row("prediction", OBJECT, 120, score=0.9, outcome="ignored"),
    ]) == [[1, 1, 1], [0, 0, 1], [1, 0, 0]]  # fmt: skip


def test_other_pictures_are_not_mixed_up() -> None:
    assert matrix([
        row("prediction", TOTE, 0, score=0.8, outcome="false_positive"),
        row("truth", OBJECT, 0, outcome="missed") | {"image_id": 2},
    ]) == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]  # fmt: skip


def test_one_truth_is_mixed_up_once() -> None:
    assert matrix([
        row("prediction", TOTE, 0, score=0.8, outcome="false_positive"),
        row("prediction", TOTE, 1, score=0.7, outcome="false_positive"),
        row("truth", OBJECT, 0, outcome="missed"),
    ]) == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]  # fmt: skip


def test_no_rows_and_unlabelled_ones_count_nothing() -> None:
    nothing = [[0, 0, 0]] * 3
    assert matrix([]) == nothing
    assert matrix([row("prediction", OBJECT, 0, score=0.9)]) == nothing
