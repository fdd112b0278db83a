# SPDX-License-Identifier: Apache-2.0
"""Runs as points of a latent space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the latent space needs scikit-learn (extra 'latent')")

from runs import write_run

from armseg_ros.errors import DataError
from armseg_ros.latent.columns import picture_error
from armseg_ros.latent.features import load_population, run_names


def test_runs_become_one_population(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", 120, split="train")
    second = write_run(tmp_path / "b", 30, seed=1, split=None, labelled=False)
    found = load_population([first, second])
    assert len(found) == 150
    assert found.sample_ids[:2] == ("picture_0_000000.jpg", "picture_0_000001.jpg")
    assert found.run_index.tolist() == [0] * 120 + [1] * 30
    assert found.features.shape == (150, 64)
    assert found.features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.features, axis=1), 1, rtol=1e-5)
    assert found.reduced.shape == (150, 50)
    assert found.labelled.tolist() == [True] * 120 + [False] * 30
    assert found.columns["split"].to_pylist() == ["train"] * 120 + [None] * 30
    assert found.columns["run"].to_pylist() == ["a"] * 120 + ["b"] * 30
    assert set(found.columns["tote_color"].to_pylist()) == {"yellow", "blue"}
    assert found.values("object_count").min() >= 1
    assert np.isnan(found.values("error")[120:]).all()
    assert found.values("time_s")[1] == pytest.approx(0.1)
    assert found.left_out == {}


def test_components_keep_distances_and_are_the_same_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 200, dimension=40)
    found, again = load_population([run]), load_population([run])
    np.testing.assert_array_equal(found.reduced, again.reduced)
    assert found.reduced.shape == (200, 40)
    distances = np.linalg.norm(found.features[0] - found.features[1:], axis=1)
    reduced = np.linalg.norm(found.reduced[0] - found.reduced[1:], axis=1)
    np.testing.assert_allclose(reduced, distances, atol=1e-4)
    assert (np.diff(found.basis.explained) <= 1e-6).all()


def test_error_of_a_picture(tmp_path: Path) -> None:
    def change(columns: dict[str, Any]) -> dict[str, Any]:
        counts = {"true_positives": [4, 0, 0, None], "false_positives": [1, 0, 2, None]}
        columns |= {f"objects_{name}": values for name, values in counts.items()}
        return columns | {"objects_missed": [1, 0, 3, None]}

    found = load_population([write_run(tmp_path / "a", 4, change=change)])
    np.testing.assert_allclose(found.values("error"), [0.2, 0, 1, np.nan], rtol=1e-6)
    assert picture_error(found.runs[0].samples).dtype == np.float32


@pytest.mark.parametrize("count", [1, 2])
def test_few_pictures(tmp_path: Path, count: int) -> None:
    found = load_population([write_run(tmp_path / "a", count)])
    assert found.reduced.shape == (count, 1)
    assert np.isfinite(found.reduced).all()


def test_pictures_without_usable_features_are_left_out_and_counted(tmp_path: Path) -> None:
    def change(columns: dict[str, Any]) -> dict[str, Any]:
        features = columns["features"].to_pylist()
        features[0], features[1] = None, [float("nan")] * 64
        columns["status"][2] = "dropped"
        return columns | {"features": features}

    found = load_population([write_run(tmp_path / "a", 10, change=change)])
    assert len(found) == 7
    assert found.sample_ids[0] == "picture_0_000003.jpg"
    assert found.columns.num_rows == 7
    assert found.left_out == {"unanswered": 1, "without features": 1, "features not finite": 1}


def test_equal_pictures_have_no_distance(tmp_path: Path) -> None:
    def change(columns: dict[str, Any]) -> dict[str, Any]:
        return columns | {"features": [[1.0, 2.0]] * 5}

    assert not load_population([write_run(tmp_path / "a", 5, change=change)]).reduced.any()


def test_mistakes_are_said_in_one_sentence(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 5)
    other = write_run(tmp_path / "b", 5, model_id="other@ba9876543210")
    longer = write_run(tmp_path / "c", 5, dimension=65)
    bare = write_run(tmp_path / "d", 5, change=lambda columns: columns | {"features": [None] * 5})
    with pytest.raises(DataError, match="two models cannot be laid over each other"):
        load_population([run, other])
    with pytest.raises(DataError, match=r"65 features a picture, but .* has 64"):
        load_population([run, longer])
    with pytest.raises(DataError, match="named twice"):
        load_population([run, run])
    with pytest.raises(DataError, match=r"answered without pooled features.*armseg export"):
        load_population([bare])
    with pytest.raises(DataError, match="no such run folder"):
        load_population([tmp_path / "none"])


def test_attributes_of_all_kinds_become_columns(tmp_path: Path) -> None:
    texts = ['{"a": 1, "b": true, "error": 3}', '{"a": 2.5, "c": [1]}', "{}"]

    def change(columns: dict[str, Any]) -> dict[str, Any]:
        return columns | {"attributes": texts}

    columns = load_population([write_run(tmp_path / "a", 3, change=change)]).columns
    assert columns["a"].to_pylist() == [1.0, 2.5, None]
    assert columns["b"].to_pylist() == [True, None, None]
    assert columns["c"].to_pylist() == [None, "[1]", None]
    assert columns["attributes.error"].to_pylist() == [3.0, None, None]
    assert columns["error"].type == "float"


def test_runs_are_named_by_as_little_as_it_takes() -> None:
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/a"), Path("/y/a")]) == ["x/a", "y/a"]
