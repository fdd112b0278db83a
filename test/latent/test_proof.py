# SPDX-License-Identifier: Apache-2.0
"""The figures of the proof on pools whose answer is known; trainings are not run here."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pools
import pytest
import totes

from armseg_ros.data.coco import read_coco
from armseg_ros.errors import DataError
from armseg_ros.latent.pool import Pool
from armseg_ros.latent.proof import page
from armseg_ros.latent.proof.captured import captured, spearman
from armseg_ros.latent.proof.data import write_subset
from armseg_ros.latent.proof.montage import TILE, write_montage
from armseg_ros.latent.proof.retrain import average_precision
from armseg_ros.latent.proof.trials import LABELLED, SEEDS, divide, trials

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Pictures whose error grows along a line."""
    positions = np.linspace(0, 1, 200)
    random = np.random.default_rng(0).permutation(200)
    positions = positions[random]
    return pools.make(
        positions.tolist(), positions.tolist(), uncertainty=np.zeros(200).tolist(),
        tote_color=["blue", "yellow"] * 100,
    )  # fmt: skip


def test_a_strategy_sees_the_errors_of_the_labelled_alone(pool: Pool) -> None:
    for seed in SEEDS:
        seen, hidden = divide(pool, seed)
        assert len(hidden) == len(pool) - LABELLED
        assert not seen.labelled[hidden].any()
        assert seen.labelled.sum() == LABELLED
    assert (divide(pool, 0)[1] != divide(pool, 1)[1]).any()


def test_where_neighbours_know_the_answer_targeted_is_nearly_perfect(pool: Pool) -> None:
    figures, predicted, unsure = captured(pool)
    first = {name: one.shares[0][0] for name, one in figures.items()}
    assert first["oracle"] == max(first.values())
    assert first["targeted"] > 0.9 * first["oracle"]
    assert first["targeted"] > 1.4 * first["random"]
    assert predicted > 0.99
    assert unsure == 0  # equal everywhere: it knows nothing
    for one in figures.values():
        assert one.curve[-1] == pytest.approx(1)
        assert (np.diff(one.curve) >= 0).all()
        for value, low, high in one.shares:
            assert low <= value <= high
    assert figures["targeted"].over_random[0][1] > 0
    assert figures["random"].over_random[0] == (0, 0, 0)


def test_rank_correlation_shares_ranks_between_equals() -> None:
    up = np.array([1, 2, 2, 3], np.float32)
    assert spearman(up, up) == pytest.approx(1)
    assert spearman(up, -up) == pytest.approx(-1)
    assert spearman(up, np.array([1, 2, 3, 4], np.float32)) == pytest.approx(0.9486833)


def test_trials_come_in_pairs_of_equal_size(pool: Pool) -> None:
    by_name = {trial.name: trial for trial in trials(pool)}
    assert len(by_name) == 2 * 2 * 3 + 2 * 2 * 3 + 3
    for name, trial in by_name.items():
        assert len(set(trial.sample_ids)) == len(trial.sample_ids)
        for ours in ("targeted", "prune"):
            other = by_name.get(name.replace(f"_{ours}_", "_random_"))
            assert other is None or len(other.sample_ids) == len(trial.sample_ids)
    assert len(by_name["select_60_random_0"].sample_ids) == LABELLED + 60


def test_a_result_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x.json").write_text(json.dumps({"object_ap": 0.25}))
    assert average_precision(tmp_path, "x", ["no such picture"], 0) == 0.25


def test_a_subset_is_a_coco_folder(tmp_path: Path) -> None:
    totes.write_coco(tmp_path / "pool", "train", count=4)
    folder = write_subset(tmp_path, "some", ["cell_1/003.jpg", "cell_0/002.jpg"])
    samples = {sample.sample_id: sample for sample in read_coco(folder, "train").samples}
    assert set(samples) == {"cell_1/003.jpg", "cell_0/002.jpg"}
    assert len(samples["cell_1/003.jpg"].annotations) == 4
    assert samples["cell_0/002.jpg"].image_path.is_file()


def test_intervals_and_tables() -> None:
    mean, low, high = page.interval([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2.0, 2 - 4.30 / 3**0.5, 2 + 4.30 / 3**0.5))
    table = page.paired_table(("budget", "ours", "random"), [(60, [0.3, 0.2], [0.1, 0.2])])
    assert table.splitlines() == [
        "| budget | ours | random | difference |",
        "|---|---|---|---|",
        "| 60 | 0.250 (0.300, 0.200) | 0.150 (0.100, 0.200) | +0.100 [-1.171, +1.371] |",
    ]


def test_figures_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    target = tmp_path / "page.md"
    target.write_text(f"above\n{page.BEGIN}\nold\n{page.END}\nbelow\n")
    page.write_figures(target, "new")
    assert target.read_text() == f"above\n{page.BEGIN}\nnew\n{page.END}\nbelow\n"
    target.write_text("nothing")
    with pytest.raises(DataError, match="lacks the marks"):
        page.write_figures(target, "new")
    assert page.BEGIN in (Path(__file__).parents[2] / "docs" / "curation.md").read_text()


def test_picks_are_shown_as_pictures(pool: Pool, tmp_path: Path) -> None:
    for name in pool.sample_ids:
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 99, np.uint8))
    write_montage(pool, tmp_path, tmp_path / "montage.jpg")
    shape = cv2.imread(str(tmp_path / "montage.jpg")).shape
    assert shape == (4 * TILE[1] + 8, 6 * TILE[0], 3)
