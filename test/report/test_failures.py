# SPDX-License-Identifier: Apache-2.0
"""Which failures are chosen: planted ones, one for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import totes
from planter import DOUBLED, MERGED, MISSED, NOISE, SPLIT, Planter

from armseg_ros.data.source import Source, open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run, read_run
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.report.failures import SAME_PICTURE, Failure, find_failures, take_turns
from armseg_ros.report.gallery import bag_time, make_cards
from armseg_ros.report.masks_on_disk import read_predictions
from armseg_ros.report.pictures import Pictures

MISTAKES = {2: SPLIT, 3: MERGED, 4: MISSED, 5: DOUBLED, 6: NOISE}
KINDS = {2: "over", 3: "under", 4: "missed", 5: "duplicate", 6: "noise"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return open_source(totes.write_coco(tmp_path_factory.mktemp("data") / "coco", count=7))


@pytest.fixture(scope="module")
def run(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "run"
    names = [item.sample_id for item in source]
    mistakes = {names[place]: mistake for place, mistake in MISTAKES.items()}
    evaluate(source, Planter(source, mistakes), EvaluateConfig(), folder)
    return read_run(folder)


def pictures_in(path: Path) -> Pictures:
    return Pictures((("", path),), "test", None)


def failures_of(run: Run, most: int = 100) -> tuple[list[Failure], dict[str, int]]:
    ids = run.samples["image_id"].to_pylist()
    return find_failures(run.instances, ids, 0.25, most)


def test_planted_failures_are_found_one_for_one(run: Run, source: Source, tmp_path: Path) -> None:
    failures, counts = failures_of(run)
    assert sum(counts.values()) == len(failures) == 5
    cards, problems = make_cards(run, failures, pictures_in(source.path), tmp_path / "crops")
    assert problems == []
    names = [item.sample_id for item in source]
    assert {(card.kind, card.sample_id) for card in cards} == {
        (kind, names[place]) for place, kind in KINDS.items()
    }
    for card in cards:
        assert (tmp_path / "crops" / card.crop).stat().st_size > 500
        main = [shape.layer for shape in card.shapes if shape.role == "main"]
        pairs = {"over": 3, "duplicate": 3, "under": 3, "missed": 1, "noise": 1}
        assert len(main) == pairs[card.kind]
    facts = {card.kind: card.facts[0] for card in cards}
    assert facts["over"] == "2 predictions cover 50%, 50%"
    assert facts["duplicate"] == "2 predictions cover 100%, 100%"
    assert facts["under"] == "2 objects in one mask"


def test_without_pictures_there_are_figures_alone(run: Run, tmp_path: Path) -> None:
    failures, _ = failures_of(run)
    gone = pictures_in(tmp_path / "gone")
    cards, problems = make_cards(run, failures, gone, tmp_path / "crops")
    (problem,) = problems
    assert problem.startswith(f"{tmp_path}/gone: no such bag")
    assert problem.endswith("; give its place with --source")
    assert {(card.crop, card.shapes) for card in cards} == {("", ())}
    assert all(card.facts for card in cards)
    assert not (tmp_path / "crops").exists()


def test_a_source_that_changed_is_named(run: Run, tmp_path: Path) -> None:
    failures, _ = failures_of(run)
    smaller = pictures_in(totes.write_coco(tmp_path / "smaller", count=6))
    cards, problems = make_cards(run, failures, smaller, tmp_path / "a")
    assert problems == ["1 pictures of the run are not in its source any more"]
    assert sum(card.crop == "" for card in cards) == 1
    edited = totes.write_coco(tmp_path / "edited", count=7)
    totes.edit_json(edited / "test.json", lambda d: d["annotations"].pop())
    _, problems = make_cards(run, failures, pictures_in(edited), tmp_path / "b")
    assert len(problems) == 1
    assert (
        "6 ground truths in the source, 7 in the run; the source has changed since" in problems[0]
    )


def test_one_picture_does_not_fill_the_gallery(run: Run) -> None:
    rows = run.instances
    missed = rows.filter((rows["kind"].to_numpy() == "truth") & (rows["image_id"].to_numpy() == 63))
    columns = missed.to_pydict()
    columns["seed_outcome"] = ["missed"] * len(missed)
    columns["matched_score"] = [None] * len(missed)
    chosen, counts = find_failures(type(missed).from_pydict(columns, missed.schema), [63], 0.25, 99)
    assert counts == {"missed": 6}
    assert len(chosen) == SAME_PICTURE


def test_few_are_the_worst_and_kinds_take_turns(run: Run) -> None:
    few, counts = failures_of(run, most=2)
    assert [failure.kind for failure in few] == ["over", "under"]
    assert sum(counts.values()) == 5
    assert failures_of(run, most=0)[0] == []
    a = [Failure("missed", 1, k, 0.5) for k in range(3)]
    b = [Failure("noise", 1, 9, 0.5)]
    assert take_turns({"noise": b, "missed": a}, 3) == [a[0], b[0], a[1]]


def test_unlabelled_pictures_have_suspects_alone(run: Run) -> None:
    suspects, counts = find_failures(run.instances, [], 0.25, 100)
    assert set(counts) == {"likely_over", "likely_under"}
    assert all(failure.severity >= 0.25 for failure in suspects)


def test_predictions_are_read_line_by_line(run: Run, tmp_path: Path) -> None:
    whole = json.loads((run.folder / "predictions.json").read_text())
    read = read_predictions(run.folder, {13, 63})
    assert set(read) == {13, 63}
    assert read[63] == [record for record in whole if record["image_id"] == 63]
    (tmp_path / "predictions.json").write_text("[]\n")
    assert read_predictions(tmp_path, {1}) == {}
    (tmp_path / "predictions.json").write_text('[{"image_id": x, "score": 1}]\n')
    with pytest.raises(DataError, match="line 1: expected one COCO result"):
        read_predictions(tmp_path, {1})


def test_times_of_a_bag() -> None:
    assert bag_time(0) == ""
    assert bag_time(1_700_000_000_123_456_789) == "2023-11-14 22:13:20.123 UTC"
    assert bag_time(10**30) == f"{10**30} ns"
