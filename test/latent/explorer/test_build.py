# SPDX-License-Identifier: Apache-2.0
"""The folder of an explorer."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import write_run

pytest.importorskip("sklearn", reason="the explorer needs scikit-learn (extra 'latent')")
pytest.importorskip("jinja2", reason="the explorer needs jinja2 (extra 'latent')")

from armseg_ros.data.selection import Pick, Selection, write_selection
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.latent.explorer import build
from armseg_ros.latent.explorer.build import ExplorerConfig, build_explorer

FAST = ExplorerConfig(method="pca")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def data(folder: Path, name: str = "population") -> dict[str, Any]:
    text = (folder / "data" / f"{name}.js").read_text()
    return json.loads(text.split(f"const {name.upper()} = ")[1].rstrip(";\n"))


def test_same_input_same_files_but_for_the_date_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 40)
    for name, date in (("a", "2026-11-25"), ("b", "2026-11-26")):
        build_explorer([run], tmp_path / name, ExplorerConfig(), date)
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert [name for name in first if first[name] != second[name]] == ["index.html"]
    pages = [page.splitlines() for page in (first["index.html"], second["index.html"])]
    different = [pair for pair in zip(*pages, strict=True) if pair[0] != pair[1]]
    assert different == [(b"2026-11-25", b"2026-11-26")]


def test_labelled_and_unlabelled_pictures_share_a_map(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "labelled", 20, split="val"),
        write_run(tmp_path / "unlabelled", 10, seed=1, split="test", labelled=False),
    ]
    assert build_explorer(runs, tmp_path / "out", FAST, "") != ()  # pictures are not there
    record = data(tmp_path / "out")
    assert len(record["sampleIds"]) == 30
    assert record["runs"] == ["labelled", "unlabelled"]
    columns = {column["name"]: column for column in record["columns"]}
    assert columns["split"]["levels"] == ["val", "test"]
    assert {"error", "p_over", "p_under", "tote_color", "cluster", "centre_distance"} <= set(
        columns
    )
    assert data(tmp_path / "out", "neighbours")["count"] == 12


def test_without_ground_truth_the_page_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 10, labelled=False)
    notes = build_explorer([run], tmp_path / "out", FAST, "")
    assert "No picture has ground truth, so the error is not known." in notes
    assert notes[0] in (tmp_path / "out" / "index.html").read_text()
    assert data(tmp_path / "out")["defaults"]["colour"] == "p_over"


def test_one_picture(tmp_path: Path) -> None:
    build_explorer([write_run(tmp_path / "run", 1)], tmp_path / "out", ExplorerConfig(), "")
    assert data(tmp_path / "out")["sampleIds"] == ["picture_0_000000.jpg"]
    assert data(tmp_path / "out", "neighbours") == {"count": 0, "indices": "", "distances": ""}


def test_an_interrupted_run_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 5)
    summary = json.loads((run / "summary.json").read_text())
    summary["complete"] = False
    summary["frames"]["total"] = 9
    (run / "summary.json").write_text(json.dumps(summary))
    notes = build_explorer([run], tmp_path / "out", FAST, "")
    assert "it holds 5 of 9 pictures, 4 are missing" in notes[0]


def test_mistakes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 5)
    with pytest.raises(DataError, match="exists already and is not empty"):
        build_explorer([run], run, FAST, "")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="exists already"):
        build_explorer([run], tmp_path / "file", FAST, "")
    with pytest.raises(ConfigError, match="neighbours is 0"):
        ExplorerConfig(neighbours=0)
    (run / "summary.json").unlink()
    with pytest.raises(DataError, match="killed before its end"):
        build_explorer([run], tmp_path / "out", FAST, "")
    assert not (tmp_path / "out").exists()


def test_later_pictures_land_on_the_old_map(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", 60)
    build_explorer([old], tmp_path / "first", FAST, "")
    onto = ExplorerConfig(onto=tmp_path / "first")
    build_explorer([old], tmp_path / "again", onto, "")
    places = [np.load(tmp_path / name / "map.npz")["positions"] for name in ("first", "again")]
    np.testing.assert_allclose(places[0], places[1], atol=1e-3)
    build_explorer([write_run(tmp_path / "new", 5, seed=9)], tmp_path / "more", onto, "")
    assert len(np.load(tmp_path / "more" / "map.npz")["positions"]) == 5
    assert "on the map of first" in (tmp_path / "more" / "index.html").read_text()


def test_a_map_that_does_not_fit(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 5)
    build_explorer([run], tmp_path / "first", FAST, "")
    other = write_run(tmp_path / "other", 5, model_id="other@ba9876543210")
    onto = ExplorerConfig(onto=tmp_path / "first")
    with pytest.raises(DataError, match="a map is of one model"):
        build_explorer([other], tmp_path / "out", onto, "")
    (tmp_path / "first" / "map.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="damaged"):
        build_explorer([run], tmp_path / "out", onto, "")
    with pytest.raises(DataError, match=r"found no map\.npz"):
        build_explorer([run], tmp_path / "out", ExplorerConfig(onto=run), "")


def test_a_selection_is_shown_on_the_map(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", 4), write_run(tmp_path / "b", 3, seed=1)]
    picks = (Pick("picture_1_000002.jpg", 2, 0, "far"), Pick("picture_1_000000.jpg", 0, 0, "near"))
    known = {"source": None, "split": "val", "operating_threshold": 0.25}
    inputs = ({"run": str(runs[1]), "content_sha256": "1", **known},)
    dropped = (Pick("picture_1_000001.jpg", 1, 0, "duplicate"),)
    path = tmp_path / "keep.json"
    write_selection(Selection("prune", {}, 0, "", inputs, {}, picks, dropped), path)
    config = ExplorerConfig(method="pca", selection=path)
    build_explorer(runs, tmp_path / "out", config, "")
    columns = {column["name"]: column for column in data(tmp_path / "out")["columns"]}
    levels, codes = columns["selection"]["levels"], columns["selection"]["codes"]
    words = [levels[code] for code in np.frombuffer(base64.b64decode(codes), "<i2")]
    assert words == ["neither"] * 4 + ["picked", "dropped", "picked"]
    ranks = np.frombuffer(base64.b64decode(columns["pick_rank"]["values"]), "<i2")
    assert ranks[4:].tolist() == [2, -32768, 1]
    with pytest.raises(DataError, match="none of its 2 picks is in these runs"):
        build_explorer(runs[:1], tmp_path / "none", config, "")


def test_an_end_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "read_boxes", stop)
    run = write_run(tmp_path / "run", 4)
    with pytest.raises(KeyboardInterrupt):
        build_explorer([run], tmp_path / "out", FAST, "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    build_explorer([write_run(tmp_path / "run", 4)], tmp_path / "out", FAST, "")
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize("count", [2, 4, 5])
def test_few_pictures(tmp_path: Path, count: int) -> None:
    build_explorer([write_run(tmp_path / "run", count)], tmp_path / "out", ExplorerConfig(), "")
    assert len(data(tmp_path / "out")["sampleIds"]) == count


def test_attributes_may_have_any_name(tmp_path: Path) -> None:
    def change(columns: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps({"cluster": "a", "selection": 1, "run": 2, "big": 10**400})
        return columns | {"attributes": [text] * 6}

    run = write_run(tmp_path / "run", 6, change=change)
    build_explorer([run], tmp_path / "out", FAST, "")
    names = [column["name"] for column in data(tmp_path / "out")["columns"]]
    assert len(set(names)) == len(names)
    assert {"cluster", "latent.cluster", "run", "attributes.run", "big"} <= set(names)


def test_into_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", 4)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    build_explorer([run], Path(), FAST, "")
    assert sorted(path.name for path in Path().iterdir()) == [
        "data",
        "index.html",
        "map.npz",
        "static",
    ]
