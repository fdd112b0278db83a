# SPDX-License-Identifier: Apache-2.0
"""Chosen pictures in every format: pixels of masks survive, order and bytes too."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import bags
import numpy as np
import numpy.typing as npt
import pytest
import totes
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader

from armseg_ros.cli.main import main
from armseg_ros.data.bag import read_bag, write_bag_from_coco
from armseg_ros.data.coco import read_coco
from armseg_ros.data.coco_records import result_records
from armseg_ros.data.labelling.cvat import row_runs
from armseg_ros.data.labelling.label_studio import encode_brush
from armseg_ros.data.selection import Pick, Selection, read_selection, write_selection
from armseg_ros.errors import DataError
from armseg_ros.evaluate.documents import JsonList
from armseg_ros.masks import decode_full
from armseg_ros.types import OBJECT, TOTE, Mask

HOLED = Mask(np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool), 5, 7)
NAMES = ["cell_1/003.jpg", "cell_0/000.jpg", "cell_0/002.jpg"]  # in the order of the selection


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled and an unlabelled COCO folder of the same pictures, a run, a selection of each."""
    folder = tmp_path_factory.mktemp("apply")
    totes.write_coco(folder / "labelled", "train", count=4)
    totes.write_coco(folder / "plain", "test", count=4, labelled=False)
    found = totes.detections(
        [HOLED, totes.box_mask(0, 0, 64, 48), totes.box_mask(1, 1, 3, 3)],
        [OBJECT, TOTE, OBJECT],
        [0.9, 0.8, 0.1],
    )
    (folder / "run").mkdir()
    predictions = JsonList(folder / "run" / "predictions.json")
    for image_id in (3, 13, 23, 33):
        predictions.extend(result_records(found, image_id, totes.HW))
    predictions.close()
    for source, split in (("labelled", "train"), ("plain", "test")):
        write_selection(make_selection(folder, source, split), folder / f"{source}.json")
    return folder


def make_selection(folder: Path, source: str, split: str) -> Selection:
    record = {
        "run": str(folder / "run"),
        "source": str(folder / source),
        "split": split,
        "operating_threshold": 0.25,
    }
    picks = [
        Pick(name, 10 * int(Path(name).stem) + 3, 0, f"<reason & {name}>", 0.5) for name in NAMES
    ]
    return Selection("select", {"name": "random"}, 0, "0" * 64, (record,), {}, tuple(picks))


def apply(workplace: Path, source: str, out: Path, *options: str) -> None:
    selection = workplace / f"{source}.json"
    arguments = ["apply", str(selection), str(workplace / source), "-o", str(out), *options]
    assert main(arguments) == 0


def test_coco_has_predictions_as_pre_labels_in_the_order_of_the_selection(
    workplace: Path, tmp_path: Path
) -> None:
    apply(workplace, "plain", tmp_path / "out")
    dataset = read_coco(tmp_path / "out", "test")
    assert [sample.sample_id for sample in dataset.samples] == NAMES
    assert dataset.has_truth
    for sample in dataset.samples:
        content = (workplace / "plain" / "images" / sample.sample_id).read_bytes()
        assert sample.image_path.read_bytes() == content
        assert [record["score"] for record in sample.annotations] == [0.9, 0.8]  # 0.1 is below
        assert sample.truth.class_ids.tolist() == [OBJECT, TOTE]
        np.testing.assert_array_equal(sample.truth.masks[0].crop, HOLED.crop)
        assert (sample.truth.masks[0].x, sample.truth.masks[0].y) == (5, 7)
        assert sample.attributes["reason"] == f"<reason & {sample.sample_id}>"


def test_coco_keeps_ground_truth_without_scores(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "labelled", tmp_path / "out")
    before = {s.sample_id: s for s in read_coco(workplace / "labelled").samples}
    for sample in read_coco(tmp_path / "out", "train").samples:
        totes.assert_same_instances(sample.truth, before[sample.sample_id].truth)
        assert all("score" not in record for record in sample.annotations)


def test_score_threshold_moves_the_pre_labels(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "plain", tmp_path / "out", "--score-threshold", "0.05")
    assert len(read_coco(tmp_path / "out", "test").samples[0].annotations) == 3


def test_cvat_masks_are_exact(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "plain", tmp_path / "out", "--format", "cvat")
    root = ET.parse(tmp_path / "out" / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label")] == ["Object", "Tote"]
    images = root.findall("image")
    assert [(image.get("id"), image.get("name")) for image in images] == [
        (str(number), name) for number, name in enumerate(NAMES)
    ]
    assert (images[0].get("width"), images[0].get("height")) == ("64", "48")
    mask = images[0].findall("mask")[0]
    assert [mask.get(key) for key in ("label", "source", "left", "top")] == [
        "Object", "auto", "5", "7",
    ]  # fmt: skip
    runs = [int(run) for run in str(mask.get("rle")).split(",")]
    painted = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    size = int(str(mask.get("height"))), int(str(mask.get("width")))
    np.testing.assert_array_equal(painted.reshape(size), HOLED.crop)
    assert (tmp_path / "out" / "images" / NAMES[0]).is_file()


def test_label_studio_masks_are_exact(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "plain", tmp_path / "out", "--format", "labelstudio")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    urls = [task["data"]["image"] for task in tasks]
    assert urls == [f"/data/local-files/?d=out/images/{name}" for name in NAMES]
    assert "BrushLabels" in (tmp_path / "out" / "label_config.xml").read_text()
    (prediction,) = tasks[0]["predictions"]
    region = prediction["result"][0]
    assert (region["original_width"], region["original_height"]) == (64, 48)
    assert region["value"]["brushlabels"] == ["Object"]
    painted = decode_brush(region["value"]["rle"]).reshape(48, 64, 4)
    assert (painted == painted[:, :, :1]).all()
    expected = np.zeros((48, 64), np.uint8)
    expected[7:10, 5:9][HOLED.crop] = 255
    np.testing.assert_array_equal(painted[:, :, 0], expected)


def decode_brush(data: list[int]) -> npt.NDArray[np.uint8]:
    """Unpack Label Studio's runs bit by bit, as its front end does."""
    bits = "".join(f"{byte:08b}" for byte in data)
    position = 0

    def read(count: int) -> int:
        nonlocal position
        position += count
        return int(bits[position - count : position], 2)

    length, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    out: list[int] = []
    while len(out) < length:
        repeated, count = read(1), read(sizes[read(2)]) + 1
        out += [read(word)] * count if repeated else [read(word) for _ in range(count)]
    assert len(bits) - position < 8
    return np.array(out, np.uint8)


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.randoms()
)  # fmt: skip
def test_run_lengths_of_any_mask_give_it_back(
    height: int, width: int, x: int, y: int, random: Any
) -> None:
    crop = np.array([[random.random() < 0.5 for _ in range(width)] for _ in range(height)])
    runs = row_runs(crop)
    assert min(runs[1:], default=1) > 0
    painted = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    np.testing.assert_array_equal(painted, crop.ravel())
    full = np.zeros((12, 12), bool)
    full[y : y + height, x : x + width] = crop
    brush = decode_brush(encode_brush(Mask(crop, x, y), (12, 12))).reshape(12, 12, 4)
    np.testing.assert_array_equal(brush[:, :, 3] > 0, full)


def test_a_run_beyond_16_bits_is_divided() -> None:
    large = Mask(np.ones((300, 300), bool), 0, 0)
    assert (decode_brush(encode_brush(large, (300, 400))).reshape(300, 400, 4) > 0).sum() == 360000


def test_csv_has_one_line_a_pick(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "plain", tmp_path / "ids.csv", "--format", "csv")
    with (tmp_path / "ids.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["sample_id"], row["reason"]) for row in rows] == [
        (str(rank), name, f"<reason & {name}>") for rank, name in enumerate(NAMES, 1)
    ]


def test_a_bag_of_a_coco_folder_holds_the_chosen_pictures(workplace: Path, tmp_path: Path) -> None:
    apply(workplace, "labelled", tmp_path / "bag", "--format", "bag")
    items = list(read_bag(tmp_path / "bag"))
    assert [item.sample_id for item in items] == sorted(NAMES)
    before = {s.sample_id: s for s in read_coco(workplace / "labelled").samples}
    for item in items:
        totes.assert_same_instances(item.truth(), before[item.sample_id].truth)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recording_is_recut_message_by_message(
    workplace: Path, tmp_path: Path, storage: str
) -> None:
    write_bag_from_coco(workplace / "labelled", None, tmp_path / "bag", storage)
    selection = make_selection(workplace, "elsewhere", "train")
    write_selection(selection, tmp_path / "selection.json")
    arguments = ["apply", str(tmp_path / "selection.json"), str(tmp_path / "bag")]
    assert main([*arguments, "-o", str(tmp_path / "cut"), "--format", "bag"]) == 0
    kept = messages(tmp_path / "cut")
    assert len(kept) == 9  # of each picture: pixels, truth, record
    assert kept == [m for m in messages(tmp_path / "bag") if m[1] in {time for _, time, _ in kept}]
    cut, whole = read_bag(tmp_path / "cut"), read_bag(tmp_path / "bag")
    assert [item.sample_id for item in cut] == sorted(NAMES)
    assert cut.split == whole.split == "train"


def messages(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(c.topic, time, bytes(raw)) for c, time, raw in reader.messages()]


def test_what_was_recorded_with_a_picture_stays_with_it(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    info = bags.STORE.types["sensor_msgs/msg/TimeReference"]
    clock = "builtin_interfaces/msg/Time"
    recorded: list[bags.Message] = []
    for stamp in (10, 20, 30):
        when = bags.STORE.types[clock](sec=0, nanosec=stamp)
        note = info(header=bags.header(stamp), time_ref=when, source="x")
        recorded += [
            ("/image", "sensor_msgs/msg/Image", stamp + 1, bags.raw(stamp, pixels)),
            ("/note", "sensor_msgs/msg/TimeReference", stamp + 2, note),
            ("/clock_now", clock, stamp + 3, when),
        ]
    bags.write(tmp_path / "bag", recorded)
    record = {"run": "gone", "source": None, "split": None, "operating_threshold": 0.25}
    pick = Pick("stamp_20", 2, 0, "")
    selection = Selection("select", {}, 0, "", (record,), {}, (pick,))
    write_selection(selection, tmp_path / "s.json")
    arguments = ["apply", str(tmp_path / "s.json"), str(tmp_path / "bag"), "--format"]
    assert main([*arguments, "bag", "-o", str(tmp_path / "cut")]) == 0
    assert [m[:2] for m in messages(tmp_path / "cut")] == [("/image", 21), ("/note", 22)]
    assert main([*arguments, "coco", "-o", str(tmp_path / "coco")]) == 0
    (sample,) = read_coco(tmp_path / "coco", "train").samples
    assert sample.sample_id == "stamp_20.png"  # raw pixels become PNG, and there are no labels
    assert not read_coco(tmp_path / "coco", "train").has_truth


@pytest.mark.parametrize("several", [False, True])
def test_pictures_of_a_run_of_several_sources_are_found(
    workplace: Path, tmp_path: Path, several: bool
) -> None:
    first = totes.write_coco(tmp_path / "first", "train", count=2)
    second = totes.write_coco(tmp_path / "second", "train", count=3)
    sources = {path.name: str(path.resolve()) for path in (first, second)}
    record = {"run": "gone", "source": sources, "split": None, "operating_threshold": 0.25}
    picks = [
        Pick(name, number, 0, "")
        for number, name in enumerate(["second/cell_0/002.jpg", "first/cell_0/000.jpg"])
    ]
    selection = Selection("select", {}, 0, "", (record,), {}, tuple(picks))
    write_selection(selection, tmp_path / "s.json")
    named = [str(first), str(second)] if several else [str(second)]
    arguments = ["apply", str(tmp_path / "s.json"), *named, "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    found = [sample.sample_id for sample in read_coco(tmp_path / "out", "train").samples]
    assert found == ([pick.sample_id for pick in picks] if several else ["cell_0/002.jpg"])


def test_other_sources_and_used_names_get_a_sentence(
    workplace: Path, tmp_path: Path, capsys: Any
) -> None:
    totes.write_coco(tmp_path / "other", "test", count=1, suffix=".png")
    selection = str(workplace / "plain.json")
    assert main(["apply", selection, str(tmp_path / "other"), "-o", str(tmp_path / "out")]) == 2
    assert "has none of the 3 chosen pictures, such as cell_1/003.jpg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    source = str(workplace / "plain")
    assert main(["apply", selection, source, "-o", str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["apply", source, source, "-o", str(tmp_path / "new")]) == 2
    assert "not a readable selection" in capsys.readouterr().err


def test_nothing_is_left_behind_where_a_picture_is_gone(workplace: Path, tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "plain", "test", count=4, labelled=False)
    (folder / "images" / "cell_1" / "003.jpg").unlink()
    arguments = ["apply", str(workplace / "plain.json"), str(folder), "-o", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain"]


def test_a_selection_is_read_as_it_was_written(workplace: Path, tmp_path: Path) -> None:
    selection = make_selection(workplace, "plain", "test")
    assert read_selection(workplace / "plain.json") == selection
    for spoil, words in (
        (lambda d: d.pop("picks"), "damaged"),
        (lambda d: d["picks"][0].update(run=7), "a pick of no input"),
        (lambda d: d["picks"][0].update(image_id="x"), "damaged"),
        (lambda d: d["inputs"][0].pop("source"), "each input needs operating_threshold, run"),
        (lambda d: d.update(format=0), "another version"),
        (lambda d: d.update(kind="report"), "not a selection"),
    ):
        document = json.loads(json.dumps({"format": 1, **asdict(selection)}))
        spoil(document)
        (tmp_path / "bad.json").write_text(json.dumps(document))
        with pytest.raises(DataError, match=words):
            read_selection(tmp_path / "bad.json")


def test_masks_of_the_run_fit_the_picture(workplace: Path) -> None:
    """The fixture is what an evaluation writes: run-lengths of the whole picture."""
    first = json.loads((workplace / "run" / "predictions.json").read_text())[0]
    np.testing.assert_array_equal(decode_full(first["segmentation"], totes.HW).crop, HOLED.crop)
