# SPDX-License-Identifier: Apache-2.0
"""Plain-number classifiers: walks, calibration, and files that are damaged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.errors import DataError
from armseg_ros.quality.classifier import Classifier, Linear, Trees, from_plain, to_plain


def linear() -> Classifier:
    model = Linear(np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([4.0, -1.0]), 0.5)
    return Classifier(("a", "b"), model, slope=2.0, offset=-1.0)


def trees(depth: int = 2, count: int = 3, columns: int = 2) -> Classifier:
    random = np.random.default_rng(0)
    model = Trees(
        random.integers(0, columns, (count, 2**depth - 1)),
        random.normal(size=(count, 2**depth - 1)),
        random.normal(size=(count, 2**depth)),
        bias=0.25,
    )
    return Classifier(tuple("abcdefgh"[:columns]), model)


def walk(model: Trees, row: np.ndarray) -> float:
    """Follow every tree by hand."""
    total = model.bias
    for column, threshold, leaf in zip(model.column, model.threshold, model.leaf, strict=True):
        node = 0
        while node < len(column):
            node = 2 * node + (2 if row[column[node]] > threshold[node] else 1)
        total += leaf[node - len(column)]
    return total


def test_a_logistic_model() -> None:
    table = np.array([[3.0, 2.0]], np.float32)
    assert linear().margin(table, ("a", "b")) == pytest.approx([4 - 2 + 0.5])
    assert linear().probability(table, ("a", "b")) == pytest.approx([1 / (1 + np.exp(-4))])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 7), st.integers(0, 99))
def test_trees_are_walked(depth: int, count: int, rows: int, seed: int) -> None:
    classifier = trees(depth, count, 4)
    table = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    expected = [walk(classifier.model, row) for row in table]  # type: ignore[arg-type]
    np.testing.assert_allclose(classifier.margin(table, classifier.columns), expected)


def test_columns_are_found_by_name() -> None:
    table = np.array([[9.0, 2.0, 3.0]], np.float32)
    found = linear().margin(table, ("x", "b", "a"))
    assert found == linear().margin(table[:, [2, 1]], ("a", "b"))
    with pytest.raises(DataError, match="needs the features a"):
        linear().margin(table, ("x", "b", "y"))


def test_probabilities_stay_in_bounds_without_a_warning() -> None:
    table = np.array([[1e30, 0], [-1e30, 0]], np.float32)
    with np.errstate(all="raise"):
        assert linear().probability(table, ("a", "b")).tolist() == pytest.approx([1, 0], abs=1e-6)


@pytest.mark.parametrize("classifier", [linear(), trees()])
def test_there_and_back(classifier: Classifier) -> None:
    back = from_plain(json.loads(json.dumps(to_plain(classifier))))
    table = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        back.probability(table, ("a", "b")), classifier.probability(table, ("a", "b"))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [1.0]},
        {"scale": [1.0]},
        {"mean": [[1.0], [0.0]]},
        {"weights": [1.0, float("nan")]},
        {"bias": None},
        {"kind": "trees"},
        {"columns": None},
    ],
)
def test_damage_is_told(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="a classifier"):
        from_plain({**to_plain(linear()), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"column": [[0, 1, 7]]},
        {"leaf": [[1.0, 2.0, 3.0]]},
        {"column": [[0, 0]], "threshold": [[0.0, 0.0]], "leaf": [[0.0, 0.0, 0.0]]},
    ],
)
def test_trees_that_are_not_complete(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="a classifier"):
        from_plain({**to_plain(trees(count=1)), **change})
