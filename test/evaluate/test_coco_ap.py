# SPDX-License-Identifier: Apache-2.0
"""Average precision against pycocotools run by hand, to 1e-9."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import totes
from oracle import Oracle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from armseg_ros.data.coco import CATEGORIES
from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.data.source import open_source
from armseg_ros.evaluate.coco import CocoScorer, Figures, MaskAndBoxScorer
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.types import OBJECT, TOTE, Detections, Instances

STATS = {"ap": 0, "ap50": 1, "ap75": 2, "ar": 8}
CATEGORY_IDS = {"Object": [2], "Tote": [1], "mean": [1, 2]}


def by_hand(
    truth: Path,
    predictions: Path,
    kind: str,
    categories: list[int],
    images: list[int] | None = None,
) -> dict[str, float]:
    """What anybody gets from the two files with pycocotools as it comes."""
    reference = COCO(str(truth))
    evaluation = COCOeval(reference, reference.loadRes(str(predictions)), kind)
    evaluation.params.catIds = categories
    if images is not None:
        evaluation.params.imgIds = images
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {name: float(evaluation.stats[index]) for name, index in STATS.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = totes.write_coco(tmp_path_factory.mktemp("coco"), count=14)

    def crowd(document: dict[str, Any]) -> None:
        for record in document["annotations"][::7]:
            record["iscrowd"] = 1

    totes.edit_json(folder / "test.json", crowd)
    source = open_source(folder)
    run_folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("armseg_ros.evaluate.documents.PORTION", 5)  # scored in three portions
        evaluate(source, Oracle(source), EvaluateConfig(), run_folder)
    summary = json.loads((run_folder / "summary.json").read_text())
    return run_folder, summary


@pytest.mark.parametrize(("name", "kind"), [("mask", "segm"), ("box", "bbox")])
@pytest.mark.parametrize("of", ["Object", "Tote", "mean"])
def test_summary_is_what_pycocotools_says_of_the_files(
    run: tuple[Path, dict[str, Any]], name: str, kind: str, of: str
) -> None:
    folder, summary = run
    expected = by_hand(
        folder / "ground_truth.json", folder / "predictions.json", kind, CATEGORY_IDS[of]
    )
    assert 0.05 < expected["ap"] < 0.95
    for figure, value in summary["accuracy"][name][of].items():
        assert value == pytest.approx(expected[figure], abs=1e-9), figure


def test_slices_are_what_pycocotools_says_of_these_pictures(
    run: tuple[Path, dict[str, Any]],
) -> None:
    folder, summary = run
    images = json.loads((folder / "ground_truth.json").read_text())["images"]
    by_color = summary["accuracy"]["object_mask_by"]["tote_color"]
    assert list(by_color) == ["blue", "yellow"]
    for color, figures in by_color.items():
        chosen = [i["id"] for i in images if (i["id"] // 10 % 2 == 1) == (color == "yellow")]
        assert figures["pictures"] == len(chosen) == 7
        truth, predictions = folder / "ground_truth.json", folder / "predictions.json"
        expected = by_hand(truth, predictions, "segm", [2], chosen)
        for figure in STATS:
            assert figures[figure] == pytest.approx(expected[figure], abs=1e-9)


def test_slices_by_object_count(run: tuple[Path, dict[str, Any]]) -> None:
    bins = run[1]["accuracy"]["object_mask_by"]["object_count"]
    assert [*bins] == ["0", "1-5", "6-10", "11-15"]
    assert bins["0"]["ap"] is None
    assert sum(part["pictures"] for part in bins.values()) == 14


def document(truth: Instances) -> dict[str, Any]:
    height, width = totes.HW
    records = truth_records(truth, 1, totes.HW)
    return {
        "images": [{"id": 1, "file_name": "1.jpg", "height": height, "width": width}],
        "annotations": [{"id": 1 + n, **record} for n, record in enumerate(records)],
        "categories": list(CATEGORIES),
    }


ONE = totes.box_mask(4, 4, 10, 10)
TRUTH = totes.instances([ONE], [OBJECT])
NOTHING = Figures(None, None, None, None)


def score(truth: Instances, found: Detections) -> CocoScorer:
    scorer = CocoScorer("segm")
    scorer.add(document(truth), result_records(found, 1, totes.HW))
    return scorer


def is_perfect(figures: Figures) -> bool:
    """Whether all are 1, but for the rounding of pycocotools' interpolated precision."""
    return astuple(figures) == pytest.approx((1, 1, 1, 1), abs=1e-9)


def test_a_perfect_answer_is_1() -> None:
    scorer = score(TRUTH, totes.detections([ONE], [OBJECT], [0.9]))
    assert is_perfect(scorer.figures(OBJECT))
    assert scorer.figures(TOTE) == NOTHING
    assert is_perfect(scorer.figures())


def test_no_answer_is_0_and_no_truth_is_none() -> None:
    nothing = totes.detections([], [], [])
    assert score(TRUTH, nothing).figures(OBJECT) == Figures(0, 0, 0, 0)
    empty = totes.instances([], [])
    for found in (nothing, totes.detections([ONE], [OBJECT], [0.9])):
        scorer = MaskAndBoxScorer()
        scorer.add(document(empty), result_records(found, 1, totes.HW))
        table = scorer.figures()
        assert table["mask"]["Object"] == table["box"]["mean"] == NOTHING


def test_a_known_iou_passes_the_thresholds_below_it() -> None:
    """A 10x10 object found as 10x8: IoU 0.8 passes 0.50 to 0.80, 7 of 10 thresholds."""
    figures = score(TRUTH, totes.detections([totes.box_mask(4, 4, 10, 8)], [OBJECT], [0.9]))
    assert figures.figures(OBJECT).ap == pytest.approx(0.7, abs=1e-9)
    assert figures.figures(OBJECT).ap75 == pytest.approx(1, abs=1e-9)


def test_figures_on_no_picture() -> None:
    scorer = score(TRUTH, totes.detections([ONE], [OBJECT], [0.9]))
    assert scorer.figures_on([], OBJECT) == NOTHING
    assert is_perfect(scorer.figures_on([1], OBJECT))
