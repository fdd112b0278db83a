# SPDX-License-Identifier: Apache-2.0
"""Average precision from the tables of a run, held against pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import totes
from oracle import Oracle

from armseg_ros.data.source import open_source
from armseg_ros.evaluate.average_precision import Ranking, rank
from armseg_ros.evaluate.coco import CocoScorer
from armseg_ros.evaluate.levels import bit_table, match_levels
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.types import OBJECT, TOTE


def _make_crowds(document: dict[str, Any]) -> None:
    for record in document["annotations"][3::7]:
        record["iscrowd"] = 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spoiled answers to 12 pictures, some of whose truths are crowds."""
    folder = tmp_path_factory.mktemp("run")
    totes.write_coco(folder / "coco", count=12)
    totes.edit_json(folder / "coco/test.json", _make_crowds)
    source = open_source(folder / "coco")
    evaluate(source, Oracle(source), EvaluateConfig(), folder / "run")
    return folder / "run"


def ranking(run: Path, class_id: int, image_ids: list[int] | None = None) -> Ranking:
    ids = pq.read_table(run / "samples.parquet")["image_id"].to_numpy()
    chosen = ids if image_ids is None else np.array(image_ids)
    return rank(pq.read_table(run / "instances.parquet"), chosen, class_id)


@pytest.mark.parametrize(("class_id", "name"), [(OBJECT, "Object"), (TOTE, "Tote")])
def test_the_figures_are_those_of_the_summary(run: Path, class_id: int, name: str) -> None:
    figures = json.loads((run / "summary.json").read_text())["accuracy"]["mask"][name]
    levels = ranking(run, class_id).average_precision()
    assert 0 < figures["ap"] < 1
    assert levels.mean() == pytest.approx(figures["ap"], abs=1e-9)
    assert levels[0] == pytest.approx(figures["ap50"], abs=1e-9)
    assert levels[5] == pytest.approx(figures["ap75"], abs=1e-9)


def test_parts_of_the_pictures_and_weights_agree(run: Path) -> None:
    truth = json.loads((run / "ground_truth.json").read_text())
    predictions = json.loads((run / "predictions.json").read_text())
    ids = [image["id"] for image in truth["images"]]
    scorer = CocoScorer("segm")
    scorer.add(truth, predictions)
    expected = scorer.figures_on(ids[3:9], OBJECT).ap
    assert ranking(run, OBJECT, ids[3:9]).average_precision().mean() == pytest.approx(expected)
    weights = np.zeros(12, int)
    weights[3:9] = 1
    for repeats in (1, 3):  # counting each picture three times changes nothing
        weighted = ranking(run, OBJECT).average_precision(repeats * weights)
        assert weighted.mean() == pytest.approx(expected, abs=1e-9)


def test_a_curve_ends_at_the_recall_of_all_predictions(run: Path) -> None:
    ranked = ranking(run, OBJECT)
    recall, precision, scores = ranked.curve(0)
    assert recall[-1] == ranked.found[:, 0].sum() / ranked.truths.sum()
    assert np.all(np.diff(recall) > 0)
    assert np.all(np.diff(scores) <= 0)
    counted = ~ranked.ignored[:, 0]
    assert precision[-1] == pytest.approx(
        ranked.found[:, 0].sum() / counted[: np.flatnonzero(ranked.found[:, 0])[-1] + 1].sum()
    )


def test_nothing_to_find_is_not_zero_and_nothing_found_is(run: Path) -> None:
    assert np.isnan(ranking(run, OBJECT, []).average_precision()).all()
    weights = np.zeros(12, int)
    assert np.isnan(ranking(run, OBJECT).average_precision(weights)).all()
    table = pq.read_table(run / "instances.parquet")
    ids = pq.read_table(run / "samples.parquet")["image_id"].to_numpy()
    truths = table.filter(np.array(table["kind"].to_pylist()) == "truth")
    assert rank(truths, ids, OBJECT).average_precision().tolist() == [0.0] * 10


def test_levels_by_hand() -> None:
    """A good prediction that scores low gets its object only where the better one fails."""
    iou = np.array([[0.62, 0.0], [0.93, 0.0], [0.0, 0.57], [0.1, 0.2]])
    found, ignored = match_levels(iou, np.array([False, True]))
    assert bit_table(found).sum(axis=1).tolist() == [3, 6, 0, 0]  # 0.50-0.60, 0.65-0.90
    assert bit_table(ignored).sum(axis=1).tolist() == [0, 0, 2, 0]  # 0.50, 0.55
    assert not np.any(bit_table(found) & bit_table(ignored))
    for empty in (np.zeros((0, 2)), np.zeros((3, 0))):
        found, ignored = match_levels(empty, np.zeros(empty.shape[1], bool))
        assert found.tolist() == ignored.tolist() == [0] * len(empty)
