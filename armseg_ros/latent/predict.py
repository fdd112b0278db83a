# SPDX-License-Identifier: Apache-2.0
"""Predict how wrong the model is on pictures that nobody has labelled yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.latent.pool import UNCERTAINTY, Pool
from armseg_ros.types import Float32Array

NEIGHBOURS = 10
FEWEST_LABELLED = 30
"""With fewer labelled pictures a regression has more ways to go wrong than to help."""
RIDGE = 1.0
"""Penalty of the regression, in standardised units; it matters only for some tens of pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Predicted errors.

    Attributes:
        errors: (N,) float32, 0..1, of every picture; for labelled ones without their own label.
        basis: What they were predicted from, in words.
        weights: Weight of each input in standardised units; empty where none was fitted.
    """

    errors: Float32Array
    basis: str
    weights: dict[str, float]


def predict_errors(pool: Pool) -> Prediction:
    """Predict the error of every picture.

    The mean error of the 10 nearest labelled pictures, weighted by 1 / distance, is put together
    with what the model says of itself by a ridge regression on the labelled pictures, for which
    the picture itself is no neighbour. With fewer than 30 labelled pictures the neighbours speak
    alone. Without any it is the larger of ``p_over`` and ``p_under``, where there is one, else the
    uncertainty of the scores; these are no errors, but order pictures.
    """
    labelled = np.flatnonzero(pool.labelled)
    if not len(labelled):
        return _without_labels(pool)
    near = _neighbour_errors(pool, labelled)
    if len(labelled) < FEWEST_LABELLED:
        return Prediction(near, f"nearest of {len(labelled)} labelled pictures", {})
    return _fit(pool, labelled, near)


def _without_labels(pool: Pool) -> Prediction:
    flags = np.fmax(pool.evidence["p_over"], pool.evidence["p_under"])
    unsure = pool.evidence[UNCERTAINTY]
    basis = "flags alone" if np.isfinite(flags).any() else "uncertainty of the scores alone"
    values = np.where(np.isfinite(flags), flags, unsure)
    return Prediction(np.asarray(values, np.float32), f"{basis}, for no picture is labelled", {})


def _neighbour_errors(pool: Pool, labelled: npt.NDArray[np.intp]) -> Float32Array:
    """Average the errors of the nearest labelled pictures, (N,) float32."""
    from sklearn.neighbors import NearestNeighbors

    errors = pool.errors[labelled].astype(np.float64)
    count = min(NEIGHBOURS + 1, len(labelled))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(pool.vectors[labelled])
    distances, neighbours = search.kneighbors(pool.vectors)
    is_self = labelled[neighbours] == np.arange(len(pool))[:, None]
    is_self[~is_self.any(axis=1), -1] = count > NEIGHBOURS  # drop the last one instead
    smallest = 1e-6 + 0.01 * float(np.median(distances))  # a twin must not outweigh all others
    weights = np.where(is_self, 0.0, 1 / (distances + smallest))
    total = weights.sum(axis=1)
    mean = (weights * errors[neighbours]).sum(axis=1) / np.where(total > 0, total, 1)
    return np.asarray(np.where(total > 0, mean, errors.mean()), np.float32)


def _fit(pool: Pool, labelled: npt.NDArray[np.intp], near: Float32Array) -> Prediction:
    from sklearn.linear_model import Ridge

    inputs: dict[str, npt.NDArray[Any]] = {"neighbours": near.astype(np.float64)}
    for name, values in pool.evidence.items():
        if np.isfinite(values[labelled]).any():
            mean = float(np.nanmean(values[labelled]))
            inputs[name] = np.where(np.isfinite(values), values, mean).astype(np.float64)
    table = np.column_stack(list(inputs.values()))
    spread = table[labelled].std(axis=0)
    table = (table - table[labelled].mean(axis=0)) / np.where(spread > 0, spread, 1)
    table[:, spread == 0] = 0  # the same on all labelled pictures: nothing was learned of it
    model = Ridge(RIDGE).fit(table[labelled], pool.errors[labelled])
    errors = np.clip(model.predict(table), 0, 1)
    weights = {name: round(float(w), 4) for name, w in zip(inputs, model.coef_, strict=True)}
    basis = f"{', '.join(inputs)} of {len(labelled)} labelled pictures"
    return Prediction(np.asarray(errors, np.float32), basis, weights)
