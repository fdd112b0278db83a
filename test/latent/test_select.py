# SPDX-License-Identifier: Apache-2.0
"""What each strategy takes, in pools whose answer is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pools
import pytest
import runs

from armseg_ros.cli.main import main
from armseg_ros.data.selection import read_selection
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.latent.features import load_population
from armseg_ros.latent.pool import make_pool
from armseg_ros.latent.predict import predict_errors
from armseg_ros.latent.select import STRATEGIES, SelectSettings, order, select
from armseg_ros.latent.strategies import Strengths, typical_spacing

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def rows(pool: Any, **settings: Any) -> list[int]:
    candidates = np.flatnonzero(~pool.labelled)
    return order(pool, candidates, SelectSettings(**settings)).tolist()


def test_the_error_of_a_picture_is_that_of_its_labelled_neighbours() -> None:
    positions = [0.0, 0.1, 0.2, 10.0, 10.1, 10.2, 0.15, 10.15]
    pool = pools.make(positions, [0.1, 0.1, 0.1, 0.9, 0.9, 0.9, None, None])
    errors = predict_errors(pool).errors
    assert errors[6] == pytest.approx(0.1, abs=0.02)
    assert errors[7] == pytest.approx(0.9, abs=0.02)


def test_a_labelled_picture_does_not_predict_itself() -> None:
    pool = pools.make([0.0, 0.1, 0.2, 0.3], [0.2, 0.2, 0.2, 1.0])
    assert predict_errors(pool).errors[3] == pytest.approx(0.2)
    alone = predict_errors(pools.make([0.0], [0.7]))
    assert alone.errors[0] == pytest.approx(0.7)  # nobody else knows better


def test_flags_help_where_neighbours_know_nothing() -> None:
    random = np.random.default_rng(0)
    truth = random.random(200)
    known = [value if index < 100 else None for index, value in enumerate(truth)]
    pool = pools.make(random.random(200).tolist(), known, p_over=truth.tolist())
    prediction = predict_errors(pool)
    assert prediction.weights["p_over"] > 5 * abs(prediction.weights["neighbours"])
    assert np.corrcoef(prediction.errors[100:], truth[100:])[0, 1] > 0.95


def test_without_labels_flags_or_else_scores_order_the_pictures() -> None:
    flags = pools.make([0, 1, 2], [None] * 3, p_over=[0.1, 0.2, 0.9], p_under=[0.3, 0.1, 0.0])
    assert predict_errors(flags).errors.tolist() == pytest.approx([0.3, 0.2, 0.9])
    assert "flags alone" in predict_errors(flags).basis
    scores = pools.make([0, 1], [None] * 2, uncertainty=[0.4, 0.6])
    assert predict_errors(scores).errors.tolist() == pytest.approx([0.4, 0.6])
    assert len(rows(scores, budget=2)) == 2


def test_targeted_takes_the_worst_corner_first_and_does_not_stay_there() -> None:
    labelled = [0.0, 0.2, 5.0, 5.2]
    unlabelled = [0.1, 4.9, 5.1, 5.3, 20.0]
    errors = [0.1, 0.1, 0.9, 0.9] + [None] * 5
    pool = pools.make(labelled + unlabelled, errors)
    assert rows(pool, budget=1) == [6]  # among the bad ones
    assert rows(pool, budget=1, strengths=Strengths(novelty=1)) == [8]  # nobody knows it
    by_error = rows(pool, budget=5, strengths=Strengths(novelty=0, balance=0))
    assert (by_error[0], by_error[-1]) == (6, 4)
    assert sorted(rows(pool, budget=5)) == [4, 5, 6, 7, 8]


def test_no_two_picks_are_nearer_than_the_minimum_distance() -> None:
    pool = pools.make([0.0, 1.0, 1.1, 1.2, 3.0, 3.1], [0.5] + [None] * 5)
    taken = rows(pool, budget=5, min_distance=0.5)
    assert len(taken) == 2
    x = pool.vectors[taken, 0]
    assert abs(x[0] - x[1]) >= 0.5
    assert sorted(rows(pool, budget=5)) == [1, 2, 3, 4, 5]  # by itself it lets go at last


def test_balance_prefers_slices_that_have_few_labels() -> None:
    colours = ["blue"] * 6 + ["yellow"]
    errors = [0.5] * 4 + [None] * 3
    pool = pools.make([0, 1, 2, 3, 10, 12, 11], errors, tote_color=colours)
    flat = Strengths(error=0, novelty=0, balance=1)
    assert rows(pool, budget=1, strengths=flat) == [6]
    first = select(pool, SelectSettings(1, strengths=flat)).picks[0]
    assert "few like it: tote_color yellow (0 labelled)" in first.reason


def test_k_centre_takes_the_farthest_first_or_else_the_middle() -> None:
    pool = pools.make([0.0, 1.0, 4.0, 9.0], [0.5, None, None, None])
    assert rows(pool, budget=3, strategy="k-centre") == [3, 2, 1]
    unknown = pools.make([0.0, 4.0, 5.0, 9.0], [None] * 4)
    assert rows(unknown, budget=4, strategy="k-centre") == [1, 3, 0, 2]
    first, second, *_ = select(unknown, SelectSettings(2, "k-centre")).picks
    assert first.reason == "nearest to the middle of all, for nothing is labelled"
    assert first.score is None
    assert second.reason == "5.000 from the nearest labelled or chosen picture"


def test_uncertainty_goes_by_scores_and_random_by_its_seed() -> None:
    pool = pools.make([0, 1, 2, 3], [None] * 4, uncertainty=[0.1, 0.7, 0.7, 0.3])
    assert rows(pool, budget=3, strategy="uncertainty") == [1, 2, 3]
    draws = {tuple(rows(pool, budget=4, strategy="random", seed=seed)) for seed in range(9)}
    assert len(draws) > 3
    assert all(sorted(draw) == [0, 1, 2, 3] for draw in draws)


def test_typical_spacing_of_few_pictures() -> None:
    assert typical_spacing(np.zeros((1, 2), np.float32)) == 0
    assert typical_spacing(np.array([[0], [1], [3]], np.float32)) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_input_and_seed_give_the_same_bytes(tmp_path: Path, strategy: str) -> None:
    runs.write_run(tmp_path / "here/labelled", 60, dimension=8, seed=1)
    runs.write_run(tmp_path / "here/new", 90, dimension=8, seed=2, labelled=False)
    texts = []
    for number in range(2):
        out = tmp_path / f"{number}.json"
        folders = [str(tmp_path / "here/labelled"), str(tmp_path / "here/new")]
        arguments = ["select", *folders, "-n", "20", "-o", str(out), "--strategy", strategy]
        assert main(arguments) == 0
        texts.append(out.read_text())
    assert texts[0] == texts[1]
    names = [pick.sample_id for pick in read_selection(tmp_path / "0.json").picks]
    assert len(set(names)) == 20
    assert all(name.startswith("picture_2_") for name in names)


def test_the_pool_is_sorted_and_its_hash_sees_every_input(tmp_path: Path) -> None:
    pool = pools.make([3.0, 1.0], [0.5, None])
    assert pools.make([3.0, 1.0], [0.5, None]).sha256() == pool.sha256()
    for other in (
        pools.make([3.0, 1.1], [0.5, None]),
        pools.make([3.0, 1.0], [0.6, None]),
        pools.make([3.0, 1.0], [0.5, None], p_over=[0.1, 0.2]),
        pools.make([3.0, 1.0], [0.5, None], tote_color=["a", "b"]),
    ):
        assert other.sha256() != pool.sha256()
    run = runs.write_run(
        tmp_path / "run", 30, dimension=8, change=lambda c: c | {"sample_id": c["sample_id"][::-1]}
    )
    made = make_pool(load_population([run]))
    assert list(made.sample_ids) == sorted(made.sample_ids)
    by_name = dict(zip(made.sample_ids, made.image_ids.tolist(), strict=True))
    assert by_name["picture_0_000000.jpg"] == 29
    assert set(made.slices) == {"tote_color", "objects_found"}


def test_slices_can_be_named(tmp_path: Path) -> None:
    population = load_population([runs.write_run(tmp_path / "run", 30, dimension=8)])
    assert set(make_pool(population, ["tote_color"]).slices) == {"tote_color"}
    with pytest.raises(DataError, match="attribute lamps; known are objects_found, tote_color"):
        make_pool(population, ["lamps"])


def test_bad_input_gets_a_sentence_or_a_defined_result(tmp_path: Path, capsys: Any) -> None:
    labelled = runs.write_run(tmp_path / "labelled", 20, dimension=8, seed=1)
    one = runs.write_run(tmp_path / "one", 1, dimension=8, seed=2, labelled=False)
    out = str(tmp_path / "out.json")

    def run(*arguments: str) -> str:
        Path(out).unlink(missing_ok=True)
        code = main(["select", *arguments, "-o", out])
        said = capsys.readouterr()
        return f"{code} {said.out}{said.err}"

    assert "all 20 pictures are labelled, so there is nothing to choose" in run(
        str(labelled), "-n", "5"
    )
    assert "fewer than the budget of 5: no more are unlabelled" in run(
        str(labelled), str(one), "-n", "5"
    )
    assert len(read_selection(Path(out)).picks) == 1
    assert run(str(one), "-n", "5").startswith("0 ")  # one picture, and nothing labelled
    assert "2 armseg select: budget is 0" in run(str(one), "-n", "0")
    assert "no such run folder" in run(str(tmp_path / "gone"), "-n", "1")
    summary = json.loads((one / "summary.json").read_text())
    (one / "summary.json").write_text(json.dumps(summary | {"complete": False}))
    assert "was interrupted" in run(str(one), "-n", "1")
    (one / "summary.json").write_text(json.dumps(summary | {"format": 1}))
    assert "written by an older version" in run(str(one), "-n", "1")
    Path(out).write_text("mine")
    assert main(["select", str(labelled), "-n", "1", "-o", out]) == 2


def test_a_model_that_finds_nothing_anywhere_still_gets_a_selection(tmp_path: Path) -> None:
    def nothing(columns: dict[str, Any]) -> dict[str, Any]:
        zeros = np.zeros(len(columns["sample_id"]), int)
        found = {"predictions": zeros, "objects_predicted": zeros}
        if "objects_truth" in columns:
            found |= {"objects_true_positives": zeros, "objects_false_positives": zeros}
            found |= {"objects_missed": columns["objects_truth"]}
        return columns | found

    labelled = runs.write_run(tmp_path / "a", 40, dimension=8, seed=1, change=nothing)
    new = runs.write_run(tmp_path / "b", 40, dimension=8, seed=2, labelled=False, change=nothing)
    selection = select(make_pool(load_population([labelled, new])), SelectSettings(10))
    assert len(selection.picks) == 10
    assert selection.summary["mean_predicted_error"]["unlabelled"] == 1


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="strategy is 'best', but must be one of"):
        SelectSettings(1, "best")
    with pytest.raises(ConfigError, match="novelty strength"):
        SelectSettings(1, strengths=Strengths(novelty=-1))
    with pytest.raises(ConfigError, match="min_distance"):
        SelectSettings(1, min_distance=-0.1)


def test_a_missing_library_is_named(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.write_run(tmp_path / "run", 5, dimension=8, labelled=False)
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    assert main(["select", str(run), "-n", "1", "-o", str(tmp_path / "out.json")]) == 2
    assert "pip install 'armseg_ros[latent]'" in capsys.readouterr().err
