# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side, with planted differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import totes
from oracle import Oracle
from planter import DOUBLED, MERGED, MISSED, SPLIT, Planter

from armseg_ros.data.source import Source, open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.compare import FIGURES, compare
from armseg_ros.evaluate.read_run import Run, read_run
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return totes.write_coco(tmp_path_factory.mktemp("data") / "coco", count=8)


def run_on(path: Path, answerer: Any, run: Path, config: EvaluateConfig | None = None) -> Run:
    evaluate(open_source(path), answerer, config or EvaluateConfig(), run)
    return read_run(run)


def names_of(source: Source) -> list[str]:
    return [item.sample_id for item in source]


def test_planted_changes_win_and_lose(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    names = names_of(source)
    before = Planter(source, {names[3]: MISSED, names[4]: MISSED})
    after = Planter(
        source, {names[4]: MISSED, names[5]: MERGED, names[6]: SPLIT, names[7]: DOUBLED}
    )
    a = run_on(folder, before, tmp_path / "a")
    b = run_on(folder, after, tmp_path / "b")
    comparison = compare(a, b, most_draws=100)
    assert (comparison.pictures, comparison.labelled) == (8, 8)
    assert (comparison.won, comparison.lost) == (1, 3)
    changed = [change.sample_id for change in comparison.changes]
    assert changed[0] == names[5]  # two objects lost of five, and a wrong mask
    assert changed[-1] == names[3]  # the only one that got better
    assert comparison.remarks == ()
    assert tuple(comparison.deltas) == FIGURES
    over = comparison.deltas["hoover_over_rate"]
    assert (over.a, over.b) == (0.0, pytest.approx(2 / 28))
    assert over.change == over.b
    low, high = comparison.deltas["object_mask_ap"].interval
    assert low < comparison.deltas["object_mask_ap"].change < high


def test_a_run_against_itself_has_no_change(folder: Path, tmp_path: Path) -> None:
    run = run_on(folder, Oracle(open_source(folder)), tmp_path / "run")
    comparison = compare(run, run, most_draws=100)
    assert (comparison.won, comparison.lost, comparison.changes) == (0, 0, ())
    assert {delta.change for delta in comparison.deltas.values()} == {0.0}
    assert {delta.interval for delta in comparison.deltas.values()} == {(0.0, 0.0)}


def test_one_picture_has_no_interval(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    alone = names_of(source)[3]
    others = [name for name in names_of(source) if name != alone]
    a = run_on(folder, Oracle(source, perfect=True, silent=others), tmp_path / "a")
    b = run_on(folder, Planter(source, {alone: MISSED}), tmp_path / "b")
    deltas = compare(a, b, most_draws=50).deltas
    assert deltas["recall"].change < 0
    assert {delta.interval for delta in deltas.values()} == {None}


def test_only_pictures_that_both_answered_count(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    names = names_of(source)
    a = run_on(folder, Oracle(source, silent=names[:2]), tmp_path / "a")
    config = EvaluateConfig(operating_threshold=0.5)
    b = run_on(folder, Oracle(source, silent=names[2:3]), tmp_path / "b", config)
    b.summary["model"]["backend"] = "another"
    comparison = compare(a, b, most_draws=100)
    assert comparison.pictures == 5
    assert comparison.remarks == (
        f"1 pictures are answered in {a.folder} only",
        f"2 pictures are answered in {b.folder} only",
        "engine differs: oracle and another",
        "operating_threshold differs: 0.25 and 0.5",
    )
    silent = run_on(folder, Oracle(source, silent=names[1:]), tmp_path / "c")
    with pytest.raises(DataError, match="no answered picture in common"):
        compare(a, silent, most_draws=100)


def test_without_ground_truth_only_latency_is_compared(folder: Path, tmp_path: Path) -> None:
    plain = totes.write_coco(tmp_path / "plain", count=3, labelled=False)
    run = run_on(plain, Oracle(open_source(plain)), tmp_path / "run")
    comparison = compare(run, run, most_draws=100)
    assert (comparison.pictures, comparison.labelled) == (3, 0)
    assert comparison.deltas["object_mask_ap"].change is None
    assert comparison.deltas["latency_p50_ms"].change == 0.0
    labelled = run_on(folder, Oracle(open_source(folder)), tmp_path / "labelled")
    assert (
        compare(run, labelled, most_draws=100).labelled == 0
    )  # the same names, labelled in one alone


def test_other_labels_are_refused(folder: Path, tmp_path: Path) -> None:
    a = run_on(folder, Oracle(open_source(folder)), tmp_path / "a")
    relabelled = totes.write_coco(tmp_path / "coco", count=8)
    square = [[5, 5, 9, 5, 9, 9, 5, 9]]
    totes.edit_json(
        relabelled / "test.json", lambda d: d["annotations"][-1].update(segmentation=square)
    )
    b = run_on(relabelled, Oracle(open_source(relabelled)), tmp_path / "b")
    totes.edit_json(relabelled / "test.json", lambda d: d["annotations"].pop())
    c = run_on(relabelled, Oracle(open_source(relabelled)), tmp_path / "c")
    for other in (b, c):
        with pytest.raises(DataError, match=r"ground truth of 1 pictures differs: .*same labels$"):
            compare(a, other, most_draws=100)
