# SPDX-License-Identifier: Apache-2.0
"""How much of the true error do the first picks hold?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.latent.pool import Pool
from armseg_ros.latent.predict import predict_errors
from armseg_ros.latent.proof.trials import SEEDS, divide
from armseg_ros.latent.select import STRATEGIES, SelectSettings, order
from armseg_ros.latent.strategies import Indices

SHARES = (0.1, 0.25, 0.5)
"""Of the unlabelled pictures: where the figures are read."""
DRAWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """Figures of one strategy.

    Attributes:
        curve: (M,) share of the true error of all M unlabelled pictures in the first 1..M picks,
            mean over the seeds.
        shares: Per entry of ``SHARES`` the share, and the ends of its 95 % interval.
        over_random: The same of the difference to random on the same pictures.
    """

    curve: npt.NDArray[np.float64]
    shares: tuple[tuple[float, float, float], ...]
    over_random: tuple[tuple[float, float, float], ...]


def captured(pool: Pool) -> tuple[dict[str, Captured], float, float]:
    """Measure every strategy, and what perfect knowledge would give.

    Intervals are from 1000 bootstrap draws: pictures of each seed with replacement, the order of
    the picks kept, and the mean over the seeds. So they hold both for other pictures like these
    and, as far as three can tell, for other divisions.

    Returns:
        Figures by strategy, with ``oracle`` (by true error) last; then Spearman's rank correlation
        of predicted and true error, and of uncertainty and true error, means over the seeds.
    """
    orders: dict[str, list[Indices]] = {name: [] for name in (*STRATEGIES, "oracle")}
    hidden_of: list[Indices] = []
    ranks: list[tuple[float, float]] = []
    for seed in SEEDS:
        seen, hidden = divide(pool, seed)
        hidden_of.append(hidden)
        for name in STRATEGIES:
            settings = SelectSettings(len(hidden), name, seed)
            orders[name].append(order(seen, hidden, settings))
        orders["oracle"].append(hidden[np.argsort(-pool.errors[hidden], kind="stable")])
        predicted = predict_errors(seen).errors
        unsure = pool.evidence["uncertainty"]
        true = pool.errors[hidden]
        ranks.append((spearman(predicted[hidden], true), spearman(unsure[hidden], true)))
    draws = _draws(pool, orders, hidden_of)
    figures = {
        name: Captured(
            np.mean([_curve(pool.errors[rows]) for rows in orders[name]], axis=0),
            _intervals(draws[name]),
            _intervals(draws[name] - draws["random"]),
        )
        for name in orders
    }
    mean = np.mean(ranks, axis=0)
    return figures, float(mean[0]), float(mean[1])


def _curve(errors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    total = np.cumsum(errors, dtype=np.float64)
    return np.asarray(total / total[-1])


def _draws(
    pool: Pool, orders: dict[str, list[Indices]], hidden_of: list[Indices]
) -> dict[str, npt.NDArray[np.float64]]:
    """Share at ``SHARES``, (DRAWS + 1, shares) by strategy; row 0 is the pictures themselves."""
    random = np.random.default_rng(0)
    out = {name: np.zeros((DRAWS + 1, len(SHARES))) for name in orders}
    for which, hidden in enumerate(hidden_of):
        for draw in range(DRAWS + 1):
            chosen = random.choice(hidden, len(hidden)) if draw else hidden
            times = np.bincount(chosen, minlength=len(pool))
            for name, by_seed in orders.items():
                rows = by_seed[which]
                errors = np.repeat(pool.errors[rows], times[rows]).astype(np.float64)
                cut = [round(share * len(errors)) for share in SHARES]
                shares = np.cumsum(errors)[np.array(cut) - 1] / errors.sum()
                out[name][draw] += shares / len(hidden_of)
    return out


def _intervals(draws: npt.NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    low, high = np.percentile(draws[1:], (2.5, 97.5), axis=0)
    return tuple(
        (float(a), float(b), float(c)) for a, b, c in zip(draws[0], low, high, strict=True)
    )


def spearman(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Give the rank correlation of two (N,) arrays; equal values share their mean rank.

    It is 0 where all values of one are equal.
    """
    ranks = _ranks(a), _ranks(b)
    if not all(np.ptp(one) for one in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()])
