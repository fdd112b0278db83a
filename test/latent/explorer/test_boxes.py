# SPDX-License-Identifier: Apache-2.0
"""Boxes to draw over the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import write_run

pytest.importorskip("sklearn", reason="the latent space needs scikit-learn (extra 'latent')")

from armseg_ros.evaluate.tables import INSTANCES
from armseg_ros.latent.explorer.boxes import KINDS, read_boxes
from armseg_ros.latent.features import load_population


def instance(number: int, kind: str = "prediction", **values: Any) -> dict[str, Any]:
    """A row of ``instances.parquet``: an object in the upper left quarter of a 320x268 picture."""
    return {
        "sample_id": f"picture_0_{number:06d}.jpg",
        "kind": kind,
        "class_id": 0,
        "operating": kind != "truth",
        "x_min": 0.0,
        "y_min": 67.0,
        "x_max": 160.0,
        "y_max": 134.0,
        **values,
    }


def run_with(folder: Path, rows: list[dict[str, Any]], count: int = 3) -> Path:
    run = write_run(folder, count)
    pq.write_table(pa.Table.from_pylist(rows, INSTANCES), run / "instances.parquet")
    return run


def test_each_box_is_told_by_what_became_of_it(tmp_path: Path) -> None:
    cases = [
        ("found", instance(0, outcome="true_positive", hoover_outcome="correct")),
        ("found", instance(0, outcome="true_positive", hoover_outcome="noise")),
        ("false", instance(0, outcome="false_positive", hoover_outcome="noise")),
        ("false", instance(0, "operating", hoover_outcome="noise")),
        ("split", instance(0, outcome="false_positive", hoover_outcome="over")),
        ("merged", instance(0, outcome="true_positive", hoover_outcome="under")),
        ("missed", instance(0, "truth", outcome="missed", hoover_outcome="under")),
        ("predicted", instance(0, p_over=0.2)),
        ("maybe split", instance(0, p_over=0.7)),
        ("maybe merged", instance(0, p_under=0.7)),
    ]
    rows = [row for _, row in cases]
    found = read_boxes(load_population([run_with(tmp_path / "run", rows)]))
    assert [KINDS[kind] for kind in found.kinds] == [name for name, _ in cases]
    assert found.starts.tolist() == [0, 10, 10, 10]
    assert found.edges[0].tolist() == [0, 64, 128, 128]  # 255 is a whole side


def test_only_objects_that_count_are_there(tmp_path: Path) -> None:
    rows = [
        instance(0, operating=False, outcome="false_positive"),
        instance(0, "truth", outcome="found"),
        instance(0, class_id=1, outcome="true_positive"),
        instance(7, outcome="true_positive"),  # of no picture that is here
        instance(2, outcome="true_positive", x_max=9999.0),
        instance(1, outcome="false_positive"),
    ]
    found = read_boxes(load_population([run_with(tmp_path / "run", rows)]))
    assert found.starts.tolist() == [0, 0, 1, 2]
    assert [KINDS[kind] for kind in found.kinds] == ["false", "found"]
    assert found.edges[1, 2] == 255


def test_runs_are_told_apart(tmp_path: Path) -> None:
    runs = [
        run_with(tmp_path / "a", [instance(2)]),
        run_with(tmp_path / "b", [instance(0), instance(0)]),
    ]
    assert read_boxes(load_population(runs)).starts.tolist() == [0, 0, 0, 1, 3, 3, 3]


def test_a_damaged_table_costs_the_boxes_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 2)
    (run / "instances.parquet").write_bytes(b"PAR1")
    found = read_boxes(load_population([run]))
    assert found.starts.tolist() == [0, 0, 0]
    assert "No boxes of run: " in found.notes[0]
