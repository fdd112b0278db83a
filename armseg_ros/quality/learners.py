# SPDX-License-Identifier: Apache-2.0
"""Learners whose result is plain numbers, cross-validated by scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import ConfigError
from armseg_ros.quality.classifier import Classifier, Linear, Trees
from armseg_ros.types import BoolArray, Float32Array

try:
    from sklearn.ensemble import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        GradientBoostingClassifier,
    )
    from sklearn.linear_model import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        LogisticRegression,
    )
except ImportError as error:
    raise ConfigError(
        "fitting needs scikit-learn; install it with 'pip install scikit-learn'"
    ) from error

FOLDS = 5
TREES, DEPTH, LEAF_ROWS, RATE = 120, 4, 20, 0.08
PENALTY = 0.01  # C of the logistic models: features are many and correlated

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows of one target.

    Attributes:
        table: (R, F) float32.
        names: F names of the columns.
        labels: (R,) bool.
        groups: (R,) scene of each row, numbered from 0.
        deployed: (R,) bool, True for rows of the thresholds that the node runs with; only they
            calibrate and measure.
    """

    table: Float32Array
    names: tuple[str, ...]
    labels: BoolArray
    groups: npt.NDArray[np.intp]
    deployed: BoolArray

    def take(self, rows: npt.NDArray[np.bool_]) -> Rows:
        """Keep the rows that are True."""
        return Rows(
            self.table[rows], self.names, self.labels[rows], self.groups[rows], self.deployed[rows]
        )

    def columns(self, names: tuple[str, ...]) -> Rows:
        """Keep the named columns."""
        chosen = self.table[:, [self.names.index(name) for name in names]]
        return Rows(chosen, names, self.labels, self.groups, self.deployed)


Learner = Callable[[Rows, int], Classifier]


def fit_linear(rows: Rows, seed: int = 0) -> Classifier:
    """Fit a logistic model with an L2 penalty on standardised columns."""
    table = rows.table.astype(np.float64)
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale < 1e-6] = 1.0
    learner = LogisticRegression(C=PENALTY, max_iter=1000, random_state=seed)
    learner.fit((table - mean) / scale, rows.labels)
    model = Linear(mean, scale, learner.coef_[0].astype(np.float64), float(learner.intercept_[0]))
    return Classifier(rows.names, model)


def fit_trees(rows: Rows, seed: int = 0) -> Classifier:
    """Boost shallow trees on random parts of rows and columns."""
    learner = GradientBoostingClassifier(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        min_samples_leaf=LEAF_ROWS,
        subsample=0.5,
        max_features=0.25,
        random_state=seed,
    )
    learner.fit(rows.table, rows.labels)
    rate = float(np.clip(rows.labels.mean(), 1e-6, 1 - 1e-6))
    grown = [_complete(estimator.tree_) for estimator in learner.estimators_[:, 0]]
    column, threshold, leaf = (np.stack(part) for part in zip(*grown, strict=True))
    model = Trees(column, threshold, leaf * RATE, float(np.log(rate / (1 - rate))))
    return Classifier(rows.names, model)


def _complete(tree: Any) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray]:
    """Fill a grown tree up to complete depth; a leaf above it is repeated below."""
    inner = 2**DEPTH - 1
    column, threshold = np.zeros(inner, np.intp), np.zeros(inner)
    leaf = np.zeros(inner + 1)
    places = [(0, 0)]
    while places:
        place, node = places.pop()
        if place >= inner:
            leaf[place - inner] = tree.value[node, 0, 0]
            continue
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            left = right = node
        else:
            column[place], threshold[place] = tree.feature[node], tree.threshold[node]
        places += [(2 * place + 1, left), (2 * place + 2, right)]
    return column, threshold, leaf


def held_out_margins(rows: Rows, learner: Learner, seed: int = 0) -> FloatArray:
    """(R,) log-odds of every row by a model that has not seen its scene."""
    folds = _folds(rows.groups, seed)
    out = np.zeros(len(rows.labels))
    for fold in range(FOLDS):
        held = folds == fold
        if held.any():
            model = learner(rows.take(~held), seed)
            out[held] = model.margin(rows.table[held], rows.names)
    return out


def _folds(groups: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    """Deal whole scenes out to the folds."""
    order = np.random.default_rng(seed).permutation(int(groups.max(initial=0)) + 1)
    return order[groups] % FOLDS


def platt(margins: FloatArray, labels: BoolArray) -> tuple[float, float]:
    """Fit slope and offset that turn held-out log-odds into probabilities (Platt 1999)."""
    learner = LogisticRegression(C=1e6, max_iter=1000)
    learner.fit(margins[:, None], labels)
    return float(learner.coef_[0, 0]), float(learner.intercept_[0])
