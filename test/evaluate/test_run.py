# SPDX-License-Identifier: Apache-2.0
"""A run folder from end to end, with an answerer that knows the truth."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bags
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import totes
import yaml
from oracle import Oracle

from armseg_ros.data.bag import read_bag, write_bag_from_coco
from armseg_ros.data.source import Item, Source, open_source
from armseg_ros.errors import BackendError, ConfigError, DataError
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.table_text import table_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return totes.write_coco(tmp_path / "coco", count=6)


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text(encoding="utf-8"))


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(run / f"{name}.parquet").to_pylist()
    return table


def run_on(source: Source, run: Path, config: EvaluateConfig | None = None, **how: Any) -> Any:
    return evaluate(source, Oracle(source, **how), config or EvaluateConfig(), run)


def test_what_a_run_leaves_behind(folder: Path, tmp_path: Path) -> None:
    source, run = open_source(folder), tmp_path / "deep/run"
    summary = run_on(source, run, perfect=True)
    assert sorted(path.name for path in run.iterdir()) == [
        "config.yaml", "ground_truth.json", "instances.parquet", "overlays", "predictions.json",
        "samples.parquet", "summary.json",
    ]  # fmt: skip
    assert read(run, "summary.json") == summary
    assert summary["complete"] is True
    assert summary["data"] | {"content_sha256": ""} == {
        "name": "coco", "kind": "coco", "split": "test", "pictures": 6, "has_truth": True,
        "content_sha256": "",
    }  # fmt: skip
    assert summary["model"] == {"model_id": "oracle@0", "sha256": "0" * 64, "backend": "oracle"}
    assert summary["settings"]["score_threshold"] == 0.001
    assert summary["settings"]["operating_threshold"] == 0.25
    frames = {"total": 6, "answered": 6, "dropped": 0, "failed": 0, "unanswered": []}
    assert summary["frames"] == frames
    assert summary["accuracy"]["mask"]["Object"]["ap"] == pytest.approx(1, abs=1e-9)
    assert set(summary["times"]["latency_ms"]) == {"decode", "inference", "total"}
    assert summary["times"]["latency_ms"]["inference"]["p99"] == 2.0
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert (settings["split"], settings["model_id"]) == ("test", "oracle@0")
    assert settings["iou_threshold"] == 0.6


def test_predictions_are_in_source_pixels(folder: Path, tmp_path: Path) -> None:
    run_on(open_source(folder), tmp_path / "run", perfect=True)
    predictions = read(tmp_path / "run", "predictions.json")
    truth = read(tmp_path / "run", "ground_truth.json")
    assert len(predictions) == len(truth["annotations"]) == 21
    original = json.loads((folder / "test.json").read_text())
    assert [a["bbox"] for a in truth["annotations"]] == [a["bbox"] for a in original["annotations"]]
    for prediction, annotation in zip(predictions, truth["annotations"], strict=True):
        for key in ("image_id", "category_id", "bbox", "segmentation"):
            assert prediction[key] == annotation[key]
        assert isinstance(prediction["segmentation"]["counts"], str)


def test_boxes_are_those_of_the_masks(folder: Path, tmp_path: Path) -> None:
    totes.edit_json(folder / "test.json", lambda d: d["annotations"][0].update(bbox=[0, 0, 64, 48]))
    run_on(open_source(folder), tmp_path / "run", perfect=True)
    (first, *_) = read(tmp_path / "run", "ground_truth.json")["annotations"]
    assert first["bbox"] == [2, 2, 60, 44]


def test_tables(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    run_on(source, tmp_path / "run", perfect=True)
    samples, instances = rows(tmp_path / "run", "samples"), rows(tmp_path / "run", "instances")
    assert [row["sample_id"] for row in samples] == [item.sample_id for item in source]
    last = samples[-1]
    assert (last["height"], last["width"], last["status"], last["labelled"]) == (48, 64, "answered",
                                                                                 True)  # fmt: skip
    assert (last["predictions"], last["objects_predicted"], last["objects_truth"]) == (6, 5, 5)
    assert (last["objects_true_positives"], last["objects_missed"]) == (5, 0)
    assert json.loads(last["attributes"]) == {"tote_color": "yellow"}
    assert last["features"] == [6.0, 6.0, 6.0]
    assert last["inference_ms"] == 2.0
    assert np.isnan(last["quality_ms"])
    assert len(instances) == 42
    found = [row for row in instances if row["kind"] == "truth"]
    assert {row["outcome"] for row in found} == {"found"}
    assert {row["matched_iou"] for row in found} == {1.0}
    assert all(row["score"] is None and row["matched_score"] >= 0.5 for row in found)
    predicted = [row for row in instances if row["kind"] == "prediction"]
    assert {row["outcome"] for row in predicted} == {"true_positive"}
    assert [row["x_min"] for row in predicted] == [row["x_min"] for row in found]


def test_outcomes_of_a_spoiled_answer(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    summary = run_on(source, tmp_path / "run")
    instances = rows(tmp_path / "run", "instances")
    outcomes = [(row["kind"], row["outcome"]) for row in instances]
    assert {("truth", "found"), ("truth", "missed"), ("prediction", "true_positive"),
            ("prediction", "false_positive")} == set(outcomes)  # fmt: skip
    assert outcomes.count(("truth", "found")) == outcomes.count(("prediction", "true_positive"))
    missed = [r for r in instances if r["outcome"] == "missed"]
    assert all(row["matched_index"] is None and row["matched_score"] is None for row in missed)
    at = summary["accuracy"]["at_threshold"]
    objects = [r for r in instances if r["kind"] == "truth" and r["class_name"] == "Object"]
    found = [row for row in objects if (row["matched_score"] or 0) > 0.25]
    assert at["Object"]["true_positives"] == len(found)
    assert at["Object"]["missed"] == len(objects) - len(found)
    sums = [row["objects_false_positives"] for row in rows(tmp_path / "run", "samples")]
    assert at["Object"]["false_positives"] == sum(sums)


def test_every_picture_is_in_one_slice_by_object_count(folder: Path, tmp_path: Path) -> None:
    """Pictures of the renderer carry an attribute of the same name."""

    def change(document: dict[str, Any]) -> None:
        for number, image in enumerate(document["images"]):
            image["object_count"] = number

    totes.edit_json(folder / "test.json", change)
    by_count = run_on(open_source(folder), tmp_path / "run")["accuracy"]["object_mask_by"][
        "object_count"
    ]
    assert {value: part["pictures"] for value, part in by_count.items()} == {"0": 1, "1-5": 5}


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "times"}


def test_two_runs_are_the_same_but_for_times(folder: Path, tmp_path: Path) -> None:
    write_bag_from_coco(folder, "test", tmp_path / "bag")
    first, second = (run_on(read_bag(tmp_path / "bag"), tmp_path / name) for name in "ab")
    assert without_times(first) == without_times(second)
    assert first["times"] != second["times"]
    for name in ("predictions.json", "ground_truth.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_scores_as_the_folder_it_came_from(
    folder: Path, tmp_path: Path, storage: str
) -> None:
    write_bag_from_coco(folder, "test", tmp_path / "bag", storage)
    from_bag = run_on(read_bag(tmp_path / "bag"), tmp_path / "a")
    from_folder = run_on(open_source(folder), tmp_path / "b")
    assert from_bag["accuracy"] == from_folder["accuracy"]
    assert from_bag["data"]["content_sha256"] == from_folder["data"]["content_sha256"]
    assert (tmp_path / "a/predictions.json").read_bytes() == (
        tmp_path / "b/predictions.json"
    ).read_bytes()


@pytest.mark.parametrize("what", ["picture", "label"])
def test_the_fingerprint_sees_every_change(folder: Path, tmp_path: Path, what: str) -> None:
    before = run_on(open_source(folder), tmp_path / "a")["data"]["content_sha256"]
    if what == "picture":
        cv2.imwrite(str(folder / "images/cell_0/002.jpg"), np.zeros((*totes.HW, 3), np.uint8))
    else:
        totes.edit_json(folder / "test.json", lambda d: d["annotations"][2].update(iscrowd=1))
    assert run_on(open_source(folder), tmp_path / "b")["data"]["content_sha256"] != before


def test_without_truth_accuracy_is_null(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path / "coco", labelled=False))
    summary = run_on(source, tmp_path / "run")
    assert summary["accuracy"] is None
    assert not (tmp_path / "run/ground_truth.json").exists()
    assert read(tmp_path / "run", "predictions.json") == []
    assert len(list((tmp_path / "run/overlays").iterdir())) == 4
    assert rows(tmp_path / "run", "samples")[0]["objects_missed"] is None
    assert "coco: holds no ground truth, so accuracy is not known" in table_text(summary)


def test_a_mixed_bag_scores_its_labelled_pictures(tmp_path: Path) -> None:
    one = totes.instances([totes.box_mask(1, 2, 3, 4)], [0])
    kind = "armseg_ros/msg/InstanceArray"
    messages = [
        ("/image/compressed", "sensor_msgs/msg/CompressedImage", n, bags.compressed(n))
        for n in range(3)
    ]
    messages.append(("/ground_truth", kind, 1, bags.truth(1, one, (6, 8), "labelled")))
    source = read_bag(bags.write(tmp_path / "bag", messages))

    class Always(Oracle):
        def answer(self, frame: Any, _content: Any, decode_ms: float) -> Any:
            found = super().answer(frame, _content, decode_ms)
            mask = totes.box_mask(1, 2, 3, 4)
            return type(found)(totes.detections([mask], [0], [0.9]), None, found.times)

    summary = evaluate(source, Always(source), EvaluateConfig(), tmp_path / "run")
    assert summary["accuracy"]["pictures"] == 1
    assert summary["accuracy"]["mask"]["Object"]["ap"] == pytest.approx(1, abs=1e-9)
    assert len(read(tmp_path / "run", "predictions.json")) == 1
    assert len(read(tmp_path / "run", "predictions_unlabelled.json")) == 2


def test_single_faults_are_counted_and_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    (folder / "images/cell_0/002.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "images/cell_1/003.jpg").unlink()
    source = open_source(folder)
    oracle = Oracle(source, silent=["cell_1/001.jpg"], broken=["cell_0/004.jpg"])
    summary = evaluate(source, oracle, EvaluateConfig(), tmp_path / "run")
    frames = summary["frames"]
    assert (frames["answered"], frames["dropped"], frames["failed"]) == (2, 1, 3)
    reasons = {u["sample_id"]: (u["status"], u["reason"]) for u in frames["unanswered"]}
    assert reasons["cell_1/001.jpg"] == ("dropped", "no answer within 1 s")
    assert reasons["cell_0/004.jpg"] == ("failed", "the engine is out of memory")
    assert "002.jpg" in reasons["cell_0/002.jpg"][1]
    assert "cannot be read" in reasons["cell_1/003.jpg"][1]
    assert summary["complete"] is True
    assert summary["accuracy"]["pictures"] == 2
    statuses = [row["status"] for row in rows(tmp_path / "run", "samples")]
    assert statuses == ["answered", "dropped", "failed", "failed", "failed", "answered"]
    text = table_text(summary)
    assert "2 of 6 pictures answered, 1 dropped, 3 failed" in text
    assert "dropped cell_1/001.jpg: no answer within 1 s" in text


def test_a_network_that_never_works_is_an_error(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    with pytest.raises(BackendError, match="failed on every picture: the engine is out of memory"):
        run_on(source, tmp_path / "run", broken=[item.sample_id for item in source])
    assert read(tmp_path / "run", "summary.json")["frames"]["failed"] == 6


def test_no_readable_picture_is_an_error(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    oracle = Oracle(source)
    shutil.rmtree(folder / "images")
    with pytest.raises(DataError, match=r"none of 6 pictures was answered; first cell_0/000.jpg: "):
        evaluate(source, oracle, EvaluateConfig(), tmp_path / "run")
    summary = read(tmp_path / "run", "summary.json")
    assert summary["accuracy"] is None
    assert "coco: no labelled picture was answered, so" in table_text(summary)


def test_a_source_of_no_pictures_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    source = open_source(path)
    with pytest.raises(DataError, match=r"test\.json lists no pictures"):
        run_on(source, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_stopping_before_the_first_picture_is_no_error(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    summary = evaluate(
        source, Oracle(source), EvaluateConfig(), tmp_path / "run", stop=lambda: True
    )
    assert (summary["complete"], summary["frames"]["answered"]) == (False, 0)


def test_stopping_keeps_what_is_there(folder: Path, tmp_path: Path) -> None:
    source, asked = open_source(folder), iter([False, False, True])
    summary = evaluate(
        source, Oracle(source), EvaluateConfig(), tmp_path / "run", stop=lambda: next(asked)
    )
    assert summary["complete"] is False
    assert summary["frames"]["answered"] == 2
    assert summary["frames"]["total"] == 6
    assert summary["accuracy"]["pictures"] == 2
    assert {p["image_id"] for p in read(tmp_path / "run", "predictions.json")} <= {3, 13}
    assert len(rows(tmp_path / "run", "samples")) == 2


class Breaking:
    """A source that breaks off, as a damaged bag does."""

    def __init__(self, source: Source, error: BaseException) -> None:
        self._source, self._error = source, error
        self.path, self.kind = source.path, source.kind
        self.split, self.has_truth = source.split, source.has_truth

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[Item]:
        yield from list(self._source)[:3]
        raise self._error


@pytest.mark.parametrize("error", [DataError("bag: damaged after 3"), KeyboardInterrupt()])
def test_a_source_that_breaks_off_keeps_what_came_before(
    folder: Path, tmp_path: Path, error: BaseException
) -> None:
    source = open_source(folder)
    with pytest.raises(type(error)):
        evaluate(Breaking(source, error), Oracle(source), EvaluateConfig(), tmp_path / "run")
    summary = read(tmp_path / "run", "summary.json")
    assert summary["complete"] is False
    assert summary["frames"]["answered"] == 3
    assert summary["accuracy"]["pictures"] == 3
    assert len(rows(tmp_path / "run", "samples")) == 3


def test_a_run_folder_in_use_is_not_touched(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    (tmp_path / "file").touch()
    for name in ("run", "file"):
        with pytest.raises(DataError, match=f"{name} exists already and is not empty"):
            run_on(open_source(folder), tmp_path / name)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    with pytest.raises(DataError, match="cannot be made: Not a directory"):
        run_on(open_source(folder), tmp_path / "file/run")


def test_a_full_disk_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("armseg_ros.evaluate.documents.JsonList.extend", full)
    with pytest.raises(DataError, match="run cannot be written: No space left on device"):
        run_on(open_source(folder), tmp_path / "run")


def test_predictions_can_be_read_at_any_time(folder: Path, tmp_path: Path) -> None:
    """A kill leaves the file as it is after a picture."""
    source, counts = open_source(folder), []

    def observe(*_: object) -> None:
        counts.append(len(read(tmp_path / "run", "predictions.json")))

    evaluate(
        source, Oracle(source, perfect=True), EvaluateConfig(), tmp_path / "run", observe=observe
    )
    assert counts == [1, 3, 6, 10, 15, 21]


def test_limit_and_overlays(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    summary = run_on(source, tmp_path / "a", EvaluateConfig(limit=4, overlays=2))
    assert summary["frames"]["total"] == 4
    drawn = sorted(path.name for path in (tmp_path / "a/overlays").iterdir())
    assert drawn == ["00001_cell_0_000.jpg", "00003_cell_0_002.jpg"]
    assert cv2.imread(str(tmp_path / "a/overlays" / drawn[0])).shape == (48, 64, 3)
    run_on(source, tmp_path / "b", EvaluateConfig(overlays=0))
    assert list((tmp_path / "b/overlays").iterdir()) == []


def test_what_is_shown_as_it_goes(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    seen: list[tuple[str, int, int]] = []
    observe: Callable[..., None] = lambda frame, found, truth: seen.append(  # noqa: E731
        (frame.sample_id, len(found), len(truth))
    )
    oracle = Oracle(source, perfect=True, silent=["cell_1/001.jpg"])
    evaluate(source, oracle, EvaluateConfig(), tmp_path / "run", observe=observe)
    assert seen[:2] == [("cell_0/000.jpg", 1, 1), ("cell_0/002.jpg", 3, 3)]
    assert len(seen) == 5


def test_object_stands_first_in_the_table(folder: Path, tmp_path: Path) -> None:
    lines = table_text(run_on(open_source(folder), tmp_path / "run", perfect=True)).splitlines()
    assert lines[0].split() == ["AP", "AP50", "AP75", "AR"]
    assert lines[1].split() == ["Object", "mask", "1.000", "1.000", "1.000", "1.000"]
    assert [line.split()[0] for line in lines[2:7]] == ["Object", "Tote", "Tote", "mean", "mean"]
    assert "detections above score 0.001, suppressed above box IoU 0.6" in lines[-1]


@pytest.mark.parametrize(
    "wrong",
    [{"score_threshold": -0.1}, {"iou_threshold": 1.5}, {"max_detections": 0}, {"limit": -1},
     {"operating_threshold": float("nan")}, {"overlays": -1}],
)  # fmt: skip
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EvaluateConfig(**wrong)
