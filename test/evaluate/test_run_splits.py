# SPDX-License-Identifier: Apache-2.0
"""Splits, merges, misses and flags in the run folder, planted one for one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import totes
from networks import write_network
from oracle import Oracle
from planter import DOUBLED, MERGED, MISSED, SPLIT, Planter
from quality.made_up import always

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.cli.main import main
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.split_slices import in_order, value_bin
from armseg_ros.quality.table import load_table


@pytest.fixture
def run(tmp_path: Path) -> Path:
    source = open_source(totes.write_coco(tmp_path / "coco", count=6))
    names = [item.sample_id for item in source]
    mistakes = dict(zip(names[2:], (SPLIT, MERGED, MISSED, DOUBLED), strict=True))
    evaluate(source, Planter(source, mistakes), EvaluateConfig(), tmp_path / "run")
    return tmp_path / "run"


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    table = pq.read_table(run / f"{name}.parquet")
    assert table.schema.metadata[b"armseg_schema"] == b"2"
    out: list[dict[str, Any]] = table.to_pylist()
    return out


def test_planted_mistakes_are_found_one_for_one(run: Path) -> None:
    by_picture = [
        {rule: tuple(row[f"{rule}_{n}"] for n in ("correct", "over", "under", "missed", "noise"))
         for rule in ("seed", "hoover")}
        for row in rows(run, "samples")
    ]  # fmt: skip
    assert [picture["seed"] for picture in by_picture] == [
        (0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 1, 0, 0, 0), (1, 0, 1, 0, 0), (3, 0, 0, 1, 0),
        (4, 1, 0, 0, 0),
    ]  # fmt: skip
    assert [picture["hoover"] for picture in by_picture[:3]] == [
        picture["seed"] for picture in by_picture[:3]
    ]
    outcomes = [(r["kind"], r["seed_outcome"]) for r in rows(run, "instances")]
    assert outcomes.count(("prediction", "over")) == 4
    assert outcomes.count(("truth", "over")) == 2
    assert outcomes.count(("prediction", "under")) == 1
    assert outcomes.count(("truth", "under")) == 2
    assert outcomes.count(("truth", "missed")) == 1
    assert outcomes.count(("prediction", "noise")) == 0
    assert outcomes.count(("truth", None)) == 6  # the totes


def test_the_summary_of_splits(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["format"] == 2
    splits = summary["splits"]
    seed = splits["seed"]
    assert (seed["over"], seed["fragments"], seed["duplicates"], seed["under"]) == (2, 1, 1, 1)
    assert (seed["merged"], seed["missed"], seed["truths"], seed["pictures_over"]) == (2, 1, 15, 2)
    assert seed["over_rate"] == pytest.approx(2 / 15)
    low, high = seed["intervals"]["over_rate"]
    assert low <= 2 / 15 <= high
    assert [step["tolerance"] for step in splits["sweep"]] == [
        0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    ]  # fmt: skip
    assert splits["sweep"][6]["seed"]["over"] == 2
    assert splits["variation_of_information"]["pictures"] == 5  # one has no object
    assert splits["seed_figures"]["Over_Segmented_metric"] == {"mean": 0.4, "pictures": 5}
    assert splits["seed_compat"] is None
    assert set(splits["slices"]) == {
        "tote_color", "object_count", "object_size", "occlusion", "brightness",
    }  # fmt: skip
    colors = splits["slices"]["tote_color"]
    assert {name: part["pictures"] for name, part in colors.items()} == {"blue": 3, "yellow": 3}
    assert sum(part["seed"]["over"] for part in colors.values()) == 2


def test_flags_and_attributes_in_the_tables(run: Path) -> None:
    samples, instances = rows(run, "samples"), rows(run, "instances")
    assert {row["verdict"] for row in samples} == {"likely_over"}
    assert {(r["p_over"], r["p_under"], r["tote_coverage"]) for r in samples} == {(0.75, 0.25, 0.5)}
    last = samples[-1]
    assert (last["object_number"], last["tote_number"], last["fname"]) == (5, 1, last["sample_id"])
    assert (last["origin_width"], last["origin_height"], last["idx"]) == (64, 48, 53)
    found = [r for r in instances if r["kind"] == "prediction"]
    for row in found:
        tote = row["class_name"] == "Tote"
        assert (row["p_over"] is None) == (row["partner"] is None) == tote
        assert row["operating"]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["flags"]["verdicts"]["likely_over"] == 6
    assert summary["flags"]["over_threshold"] == 0.5


def test_without_flags_the_verdict_is_unknown(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path / "coco", count=3))
    summary = evaluate(source, Oracle(source), EvaluateConfig(), tmp_path / "run")
    assert summary["flags"]["verdicts"]["unknown"] == 3
    assert summary["flags"]["reasons"] == {"nobody judged it": 3}
    shown = [r for r in rows(tmp_path / "run", "instances") if r["kind"] == "prediction"]
    assert {r["operating"] for r in shown} == {True, False}
    for row in shown:
        assert row["operating"] == (row["score"] > 0.25)
        assert row["p_over"] is None
        assert (row["seed_outcome"] is not None) == (
            row["operating"] and row["class_name"] == "Object"
        )


def test_an_unlabelled_source_has_no_split_figures(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path / "coco", count=2, labelled=False))
    summary = evaluate(source, Oracle(source), EvaluateConfig(), tmp_path / "run")
    assert summary["splits"] is None
    (first, _) = rows(tmp_path / "run", "samples")
    assert first["seed_over"] is None
    assert first["object_number"] is None
    assert first["origin_width"] == 64


def test_slices_stand_in_their_order() -> None:
    bins = ["0-5", "11-15", "16+", "6-10"]
    assert sorted(bins, key=in_order) == ["0-5", "6-10", "11-15", "16+"]
    bins = ["above 0.25 to 0.5", "above 0.5", "up to 0", "above 0 to 0.25"]
    assert sorted(bins, key=in_order) == [bins[2], bins[3], bins[0], bins[1]]
    assert sorted(["b.", "1.2.3", "..", "a"], key=in_order) == ["..", "a", "b.", "1.2.3"]
    assert [value_bin(v, (0.0, 0.5)) for v in (0.0, 0.25, 0.5, 9.0)] == [
        "up to 0", "above 0 to 0.5", "above 0 to 0.5", "above 0.5",
    ]  # fmt: skip
    assert value_bin(None, (1.0,)) == ""


def test_a_run_holds_the_table_that_flags_are_fitted_to(tmp_path: Path) -> None:
    """With the flags that a model file brings along, and with their sheet in the summary."""
    network = write_network(tmp_path / "tiny.onnx")
    always(file_sha256(network)).save(tmp_path / "flags.json")
    folder = totes.write_coco(tmp_path / "coco", count=4)
    arguments = ["evaluate", str(folder), "--model", str(network), "-o", str(tmp_path / "run")]
    assert main([*arguments, "--flags", str(tmp_path / "flags.json"), "--seed-compat"]) == 0
    table = load_table(tmp_path / "run")
    assert table.detector == file_sha256(network)
    assert table.origin["thresholds"] == {"score_threshold": 0.25, "iou_threshold": 0.45}
    assert len(table) == table.origin["pictures"] == len(table.instances) == 4
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    sheet = summary["flags"]["sheet"]
    assert sheet["over"]["instance"]["rows"] == 4
    assert sheet["over"]["instance"]["auroc"] is None  # nothing is split
    assert sheet["under"]["instance"]["compared"]["low score"]["auroc"] is None
    compat = summary["splits"]["seed_compat"]
    assert compat["Over_Segmented_metric"] == {"mean": 0.0, "pictures": 4}
    (first, *_) = rows(tmp_path / "run", "samples")
    assert (first["p_over"], first["verdict"]) == (0.25, "ok")
    assert first["quality_ms"] > 0
    assert main(["quality", "check", str(tmp_path / "run"), "--flags",
                 str(tmp_path / "flags.json")]) == 0  # fmt: skip


def test_the_figures_that_were_not_computed_have_their_reason(tmp_path: Path) -> None:
    network = write_network(tmp_path / "tiny.onnx")
    folder = totes.write_coco(tmp_path / "coco", count=2)
    assert (
        main(["evaluate", str(folder), "--model", str(network), "-o", str(tmp_path / "run")]) == 0
    )
    flags = json.loads((tmp_path / "run/summary.json").read_text())["flags"]
    assert flags["sheet"] is None
    assert f"segmented by detector {file_sha256(network)[:12]}" in flags["no_sheet"]
    assert flags["verdicts"]["unknown"] == 2
    (reason,) = flags["reasons"]
    assert "fit it again" in reason


def test_answers_that_are_not_finite_are_neither_fitted_to_nor_checked(tmp_path: Path) -> None:
    network = write_network(tmp_path / "broken.onnx", prototype=float("nan"))
    always(file_sha256(network)).save(tmp_path / "flags.json")
    folder = totes.write_coco(tmp_path / "coco", count=2)
    arguments = ["evaluate", str(folder), "--model", str(network), "-o", str(tmp_path / "run")]
    assert main([*arguments, "--flags", str(tmp_path / "flags.json")]) == 0
    flags = json.loads((tmp_path / "run/summary.json").read_text())["flags"]
    assert flags["verdicts"]["unknown"] == 2
    assert flags["no_sheet"].endswith("or not with finite numbers")
    assert not (tmp_path / "run/quality_table.npz").exists()


def test_an_evaluation_needs_no_scikit_learn() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import armseg_ros.evaluate.run"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_pictures_of_one_scene_are_drawn_together(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path / "coco", count=6))
    config = EvaluateConfig(group_by="tote_color")
    splits = evaluate(source, Oracle(source), config, tmp_path / "run")["splits"]
    assert splits["scenes"] == 2
    with pytest.raises(DataError, match="no attribute 'cell' to group by; it has tote_color"):
        evaluate(source, Oracle(source), EvaluateConfig(group_by="cell"), tmp_path / "other")
