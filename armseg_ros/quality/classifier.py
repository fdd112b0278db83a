# SPDX-License-Identifier: Apache-2.0
"""Calibrated classifiers as plain numbers: a logistic model or a small ensemble of trees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import DataError
from armseg_ros.types import Float32Array

FloatArray = npt.NDArray[np.float64]
MARGIN_LIMIT = 40.0  # beyond it a probability is 0 or 1 to double precision


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A logistic model on standardised columns.

    Attributes:
        mean: (F,) subtracted from the columns.
        scale: (F,) they are divided by, above 0.
        weights: (F,).
        bias: Added.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float

    def margin(self, columns: Float32Array) -> FloatArray:
        """(R,) log-odds of (R, F) rows."""
        out: FloatArray = ((columns - self.mean) / self.scale) @ self.weights + self.bias
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Complete binary trees of one depth D, walked all at once.

    Node k has the children 2k+1 (value <= threshold) and 2k+2; shorter branches are filled up
    with nodes whose leaves are all the same.

    Attributes:
        column: (T, 2^D - 1) int column that a node compares.
        threshold: (T, 2^D - 1).
        leaf: (T, 2^D) contribution to the log-odds.
        bias: Added to the sum of the leaves.
    """

    column: npt.NDArray[np.intp]
    threshold: FloatArray
    leaf: FloatArray
    bias: float
    _offset: npt.NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_offset", np.arange(len(self.column))[None, :])

    def margin(self, columns: Float32Array) -> FloatArray:
        """(R,) log-odds of (R, F) rows."""
        inner = self.column.shape[1]
        first = self._offset * inner
        columns_flat, thresholds = self.column.ravel(), self.threshold.ravel()
        row = np.arange(len(columns))[:, None] * columns.shape[1]
        values = columns.ravel()
        node = np.zeros((len(columns), len(self.column)), np.intp)
        for _ in range((inner + 1).bit_length() - 1):
            place = node + first
            right = values[row + columns_flat[place]] > thresholds[place]
            node = 2 * node + 1 + right
        leaves = self.leaf.ravel()[node - inner + self._offset * (inner + 1)]
        out: FloatArray = leaves.sum(axis=1) + self.bias
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A model, the columns it reads and the calibration of its log-odds (Platt).

    Attributes:
        columns: Names of the columns, in the model's order.
        model: Log-odds before calibration.
        slope: Of the calibration.
        offset: Of the calibration.
    """

    columns: tuple[str, ...]
    model: Linear | Trees
    slope: float = 1.0
    offset: float = 0.0

    def probability(self, table: Float32Array, names: tuple[str, ...]) -> Float32Array:
        """(R,) float32 in 0..1 for a table of (R, len(names)).

        Raises:
            DataError: The table lacks a column.
        """
        return self.calibrate(self.margin(table, names))

    def calibrate(self, margin: FloatArray) -> Float32Array:
        """Turn log-odds before calibration into probabilities."""
        margin = margin * self.slope + self.offset
        clipped = np.clip(margin, -MARGIN_LIMIT, MARGIN_LIMIT)
        return (1 / (1 + np.exp(-clipped))).astype(np.float32)

    def margin(self, table: Float32Array, names: tuple[str, ...]) -> FloatArray:
        """(R,) log-odds before calibration."""
        if names == self.columns:
            return self.model.margin(table)
        return self.model.margin(table[:, _places(self.columns, names)])


@lru_cache(maxsize=64)
def _places(columns: tuple[str, ...], names: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Where each column stands among the names; remembered, as a node asks for every picture."""
    missing = set(columns) - set(names)
    if missing:
        raise DataError(f"the quality model needs the features {', '.join(sorted(missing))}")
    return np.array([names.index(name) for name in columns], np.intp)


def to_plain(classifier: Classifier) -> dict[str, Any]:
    """Write a classifier as JSON values."""
    model = classifier.model
    numbers: dict[str, Any] = {"bias": model.bias}
    for name in ("mean", "scale", "weights", "column", "threshold", "leaf"):
        if hasattr(model, name):
            numbers[name] = getattr(model, name).tolist()
    return {
        "kind": "linear" if isinstance(model, Linear) else "trees",
        "columns": list(classifier.columns),
        "slope": classifier.slope,
        "offset": classifier.offset,
        **numbers,
    }


def from_plain(values: dict[str, Any]) -> Classifier:
    """Read what ``to_plain`` wrote.

    Raises:
        DataError: A number is missing, is not finite, or the shapes do not fit together.
    """
    try:
        columns = tuple(str(name) for name in values["columns"])
        model = _linear(values) if values["kind"] == "linear" else _trees(values, len(columns))
        slope, offset = float(values["slope"]), float(values["offset"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"a classifier is damaged ({type(error).__name__}: {error})") from error
    if not all(map(math.isfinite, (slope, offset, model.bias))):
        raise DataError("a classifier is damaged (its slope, offset or bias is not finite)")
    if isinstance(model, Linear):
        for name in ("mean", "scale", "weights"):
            shape = getattr(model, name).shape
            if shape != (len(columns),):
                raise DataError(f"a classifier has {len(columns)} columns, but {name} of {shape}")
    return Classifier(columns, model, slope, offset)


def _linear(values: dict[str, Any]) -> Linear:
    mean, scale, weights = (_numbers(values[name]) for name in ("mean", "scale", "weights"))
    if not (scale > 0).all():
        raise ValueError("a column is scaled by 0")
    return Linear(mean, scale, weights, float(values["bias"]))


def _trees(values: dict[str, Any], columns: int) -> Trees:
    column = np.array(values["column"], np.intp)
    threshold, leaf = _numbers(values["threshold"]), _numbers(values["leaf"])
    inner = column.shape[1]
    if leaf.shape != (len(column), inner + 1) or threshold.shape != column.shape:
        raise ValueError(f"{column.shape} nodes, {threshold.shape} thresholds, {leaf.shape} leaves")
    if (inner + 1) & inner or column.min(initial=0) < 0 or column.max(initial=0) >= columns:
        raise ValueError("the trees are not complete, or read a column that is not there")
    return Trees(column, threshold, leaf, float(values["bias"]))


def _numbers(values: Any) -> FloatArray:
    out = np.array(values, np.float64)
    if not np.isfinite(out).all():
        raise ValueError("a number is not finite")
    return out
