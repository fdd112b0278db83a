# SPDX-License-Identifier: Apache-2.0
"""What pruning drops, keeps, and never empties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pools
import pytest
import runs

from armseg_ros.cli.main import main
from armseg_ros.data.selection import read_selection
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.latent.cluster import cluster, medoid, subgroups
from armseg_ros.latent.duplicates import find_duplicates, typical_distance
from armseg_ros.latent.prune import PruneSettings, prune

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def kept(pool: Any, keep: float, **settings: Any) -> list[int]:
    return [pick.image_id for pick in prune(pool, PruneSettings(keep, **settings)).picks]


def blobs(*centres: tuple[float, int], seed: int = 0) -> list[float]:
    """Positions around centres, so many each."""
    random = np.random.default_rng(seed)
    return [centre + random.normal() for centre, count in centres for _ in range(count)]


def test_duplicates_go_first_and_name_their_original() -> None:
    positions = [0.0, 10.0, 0.001, 20.0, 10.0]
    selection = prune(pools.make(positions, [0.5] * 5), PruneSettings(1.0))
    assert sorted(pick.image_id for pick in selection.picks) == [0, 1, 3]
    reasons = {pick.image_id: pick.reason for pick in selection.dropped}
    assert reasons == {
        2: "duplicate of 0000.jpg (distance 0.0010)",
        4: "duplicate of 0001.jpg (distance 0.0000)",
    }
    assert selection.summary["duplicates"] == 2


def test_a_slow_change_is_no_chain_of_duplicates() -> None:
    drift = np.arange(2500, dtype=np.float32)[:, None] / 100
    found = find_duplicates(drift)
    limit = 0.1 * typical_distance(drift)
    originals = drift[~found.repeats, 0]
    assert np.diff(originals).min() > limit * 0.999
    assert np.abs(drift[:, 0] - drift[found.original, 0]).max() <= limit
    assert len(originals) == pytest.approx(25 / limit, abs=2)


def test_duplicates_of_nothing_and_of_all_the_same() -> None:
    assert not find_duplicates(np.zeros((1, 3), np.float32)).repeats.any()
    assert find_duplicates(np.ones((5, 3), np.float32)).repeats.tolist() == [False] + [True] * 4


def test_exact_copies_are_found_without_a_tolerance_whatever_rounding_does() -> None:
    vectors = np.random.default_rng(0).normal(size=(600, 50)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[300:] = vectors[:300]
    assert find_duplicates(vectors, 0.0).original.tolist() == [*range(300)] * 2


def test_good_clusters_lose_pictures_and_bad_ones_do_not() -> None:
    positions = blobs((0, 150), (30, 150))
    errors = [0.05] * 150 + [0.8] * 150
    pool = pools.make(positions, errors)
    selection = prune(pool, PruneSettings(0.7, near=0.0))
    numbers = {pick.image_id for pick in selection.picks}
    assert len(numbers) == 210
    assert set(range(150, 300)) <= numbers
    assert selection.summary["good_clusters"] < selection.summary["clusters"]


def test_in_a_good_cluster_what_is_far_from_the_centre_stays() -> None:
    positions = blobs((0, 100))
    pool = pools.make(positions, [0.1] * 100)
    stay = kept(pool, 0.6, near=0.0)
    away = np.abs(np.array(positions) - np.mean(positions))
    dropped = [n for n in range(100) if n not in stay]
    assert away[dropped].max() < np.median(away) * 1.3
    assert sum(away[n] > np.median(away) for n in dropped) <= 12  # and representatives are in


def test_the_hardest_picture_of_a_cluster_stays_even_where_it_is_good() -> None:
    positions = blobs((0, 100))
    errors = [0.1] * 100
    middle = int(np.argmin(np.abs(np.array(positions) - np.mean(positions))))
    errors[middle] = 0.3
    assert middle in kept(pools.make(positions, errors), 0.2, near=0.0)


def test_no_slice_is_emptied_even_where_it_holds_duplicates_alone() -> None:
    positions = blobs((0, 60))
    positions[-1] = positions[0]
    colours = ["blue"] * 58 + ["green", "yellow"]
    pool = pools.make(positions, [0.1] * 60, tote_color=colours)
    for keep in (0.01, 0.1, 0.5, 1.0):
        selection = prune(pool, PruneSettings(keep, near=1e-6))
        counts = selection.summary["slices"]["tote_color"]
        assert all(value["kept"] >= 1 for value in counts.values()), keep
        numbers = [pick.image_id for pick in (*selection.picks, *selection.dropped)]
        assert sorted(numbers) == list(range(60))  # each has its reason, once


def test_keeping_less_keeps_a_part() -> None:
    random = np.random.default_rng(1)
    pool = pools.make(blobs((0, 80), (50, 80)), random.random(160).tolist())
    orders = [kept(pool, keep) for keep in (0.2, 0.5, 0.9)]
    assert orders[1][: len(orders[0])] == orders[0]
    assert orders[2][: len(orders[1])] == orders[1]


def test_unlabelled_pictures_are_left_alone() -> None:
    pool = pools.make([0, 1, 2, 3], [0.1, None, 0.3, 0.4])
    selection = prune(pool, PruneSettings(0.5))
    assert {p.image_id for p in (*selection.picks, *selection.dropped)} == {0, 2, 3}


def test_one_picture_stays() -> None:
    assert kept(pools.make([1.0], [0.2]), 0.1) == [0]


def test_the_verb_says_what_it_did_and_repeats_itself(tmp_path: Path, capsys: Any) -> None:
    run = runs.write_run(tmp_path / "run", 120, dimension=8)
    for number in (1, 2):
        out = tmp_path / f"{number}.json"
        assert main(["prune", str(run), "--keep", "0.5", "-o", str(out)]) == 0
    assert "keeps 60 of 120 labelled pictures" in capsys.readouterr().out
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    selection = read_selection(tmp_path / "1.json")
    assert selection.kind == "prune"
    assert len(selection.picks) == len(selection.dropped) == 60


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keep is 0, which would leave nothing"):
        PruneSettings(0)
    with pytest.raises(ConfigError, match="keep"):
        PruneSettings(1.1)
    with pytest.raises(DataError, match="none of the pictures is labelled"):
        prune(pools.make([0, 1], [None, None]), PruneSettings(0.5))


def test_clusters_are_numbered_by_their_first_picture() -> None:
    vectors = np.array([[9.0], [0.0], [9.1], [0.1], [5.0]], np.float32)
    found = cluster(vectors, seed=3, count=3)
    assert found.labels.tolist() == [0, 1, 0, 1, 2]
    assert found.centres[:, 0].tolist() == pytest.approx([9.05, 0.05, 5.0])
    assert found.distances.tolist() == pytest.approx([0.05, 0.05, 0.05, 0.05, 0], abs=1e-6)
    assert len(cluster(np.ones((7, 2), np.float32), 0, 3)) == 1  # one distinct picture


def test_subgroups_and_medoid() -> None:
    vectors = np.array([[0.0], [0.1], [5.0], [5.1]], np.float32)
    groups = subgroups(vectors, 0)
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert subgroups(vectors[:0], 0).shape == (0,)
    assert medoid(np.array([[0.0], [1.0], [5.0]], np.float32)) == 1
