# SPDX-License-Identifier: Apache-2.0
"""Maps and neighbours."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the map needs scikit-learn (extra 'latent')")

from armseg_ros.latent import project
from armseg_ros.latent.project import find_neighbours, lay_out, place


def groups(count: int, dimension: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Points in three groups that are far apart, and the group of each."""
    rng = np.random.default_rng(3)
    centres = 5 * rng.normal(size=(3, dimension))
    labels = np.arange(count) % 3
    points = centres[labels] + 0.1 * rng.normal(size=(count, dimension))
    return points.astype(np.float32), labels


def share_of_own_group(positions: np.ndarray, labels: np.ndarray) -> float:
    nearest = find_neighbours(positions, 5).indices
    return float((labels[nearest] == labels[:, None]).mean())


def test_neighbours_are_the_nearest_others() -> None:
    points = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    found = find_neighbours(points, 2)
    assert found.indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    np.testing.assert_allclose(found.distances, [[1, 3], [1, 2], [2, 3], [4, 6]])


def test_there_are_at_most_all_others() -> None:
    points = np.zeros((3, 2), np.float32)
    assert find_neighbours(points, 10).indices.shape == (3, 2)
    assert find_neighbours(points[:1], 10).indices.shape == (1, 0)


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_groups_stay_together(method: project.Method) -> None:
    points, labels = groups(60)
    found = lay_out(points, method)
    assert found.positions.dtype == np.float32
    assert np.abs(found.positions).max() == pytest.approx(1)
    assert share_of_own_group(found.positions, labels) > 0.95


def test_the_same_seed_gives_the_same_map() -> None:
    points, _ = groups(50)
    np.testing.assert_array_equal(lay_out(points).positions, lay_out(points).positions)


def test_many_points_are_placed_between_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "LANDMARKS", 40)
    monkeypatch.setattr(project, "find_spec", lambda _: None)
    points, labels = groups(150)
    found = lay_out(points, "tsne")
    assert "of 40 pictures" in found.method
    assert share_of_own_group(found.positions, labels) > 0.95


def test_open_tsne_takes_over_where_it_is_installed() -> None:
    pytest.importorskip("openTSNE", reason="openTSNE, which is optional, is not installed")
    points, labels = groups(60)
    found = lay_out(points, "tsne")
    assert "openTSNE" in found.method
    assert share_of_own_group(found.positions, labels) > 0.95


def test_new_points_land_where_equal_ones_lie() -> None:
    known = np.array([[0, 0], [0, 1], [9, 9]], np.float32)
    positions = np.array([[-1, 0], [-0.5, 0], [1, 1]], np.float32)
    placed = place(np.array([[0, 1], [0, 0.5]], np.float32), known, positions)
    np.testing.assert_allclose(placed[0], [-0.5, 0], atol=1e-5)
    np.testing.assert_allclose(placed[1], [-0.75, 0], atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points(count: int) -> None:
    found = lay_out(groups(count)[0], "tsne")
    assert found.positions.shape == (count, 2)
    assert np.isfinite(found.positions).all()
    assert "principal components" in found.method


def test_equal_points_lie_on_one_spot() -> None:
    assert not lay_out(np.ones((9, 4), np.float32), "tsne").positions.any()
