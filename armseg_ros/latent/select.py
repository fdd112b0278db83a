# SPDX-License-Identifier: Apache-2.0
"""Choose the pictures that are worth labelling next."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from armseg_ros.config import require_range
from armseg_ros.data.selection import Pick, Selection
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.latent import strategies
from armseg_ros.latent.pool import UNCERTAINTY, Pool
from armseg_ros.latent.predict import Prediction, predict_errors
from armseg_ros.latent.strategies import Indices, Strengths

STRATEGIES = ("targeted", "k-centre", "uncertainty", "random")


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """Settings of a selection.

    Attributes:
        budget: How many pictures to choose, at least 1.
        strategy: One of ``STRATEGIES``.
        seed: Of the random strategy.
        min_distance: Targeted: no two picks are nearer; None chooses it by the data.
        strengths: Targeted: exponents of the product.
    """

    budget: int
    strategy: str = "targeted"
    seed: int = 0
    min_distance: float | None = None
    strengths: Strengths = field(default_factory=Strengths)

    def __post_init__(self) -> None:
        require_range("budget", self.budget, 1, 10**9)
        require_range("seed", self.seed, 0, 2**31)
        if self.strategy not in STRATEGIES:
            raise ConfigError(
                f"strategy is {self.strategy!r}, but must be one of {', '.join(STRATEGIES)}"
            )
        if self.min_distance is not None:
            require_range("min_distance", self.min_distance, 0.0, 1e6)
        for name, value in asdict(self.strengths).items():
            require_range(f"{name} strength", value, 0.0, 10.0)


def select(pool: Pool, settings: SelectSettings) -> Selection:
    """Choose unlabelled pictures.

    A budget beyond the number of unlabelled pictures takes them all, in order.

    Raises:
        DataError: Every picture is labelled.
    """
    candidates = np.flatnonzero(~pool.labelled)
    if not len(candidates):
        raise DataError(
            f"all {len(pool)} pictures are labelled, so there is nothing to choose; add the run of "
            "an unlabelled source"
        )
    predicted = predict_errors(pool)
    picks = _picks(pool, candidates, predicted, settings)
    recipe = {"name": settings.strategy, **asdict(settings)}
    return Selection(
        kind="select",
        recipe={key: value for key, value in recipe.items() if key not in ("strategy", "seed")},
        seed=settings.seed,
        input_sha256=pool.sha256(),
        inputs=pool.inputs,
        summary=_summary(pool, candidates, predicted, picks),
        picks=picks,
    )


def order(pool: Pool, candidates: Indices, settings: SelectSettings) -> Indices:
    """Give the rows that a strategy takes, in order."""
    if settings.strategy == "random":
        return strategies.random_order(candidates, settings.seed)[: settings.budget]
    if settings.strategy == "uncertainty":
        return strategies.by_uncertainty(pool, candidates)[: settings.budget]
    if settings.strategy == "k-centre":
        taken = islice(strategies.k_centre(pool, candidates), settings.budget)
        return np.array([row for row, _ in taken], np.intp)
    steps = _targeted(pool, candidates, predict_errors(pool), settings)
    return np.array([step.index for step in steps], np.intp)


def _targeted(
    pool: Pool, candidates: Indices, predicted: Prediction, settings: SelectSettings
) -> list[strategies.Step]:
    steps = strategies.targeted(
        pool, candidates, predicted.errors, settings.strengths, settings.min_distance
    )
    return list(islice(steps, settings.budget))


def _picks(
    pool: Pool, candidates: Indices, predicted: Prediction, settings: SelectSettings
) -> tuple[Pick, ...]:
    if settings.strategy == "targeted":
        steps = _targeted(pool, candidates, predicted, settings)
        return tuple(
            pool.pick(step.index, _reason(pool, step, predicted), step.score) for step in steps
        )
    if settings.strategy == "k-centre":
        taken = islice(strategies.k_centre(pool, candidates), settings.budget)
        return tuple(
            pool.pick(row, _gap_text(gap), None if math.isinf(gap) else gap) for row, gap in taken
        )
    rows = order(pool, candidates, settings)
    if settings.strategy == "random":
        return tuple(pool.pick(int(row), f"drawn with seed {settings.seed}") for row in rows)
    unsure = pool.evidence[UNCERTAINTY]
    return tuple(
        pool.pick(int(row), f"mean score of its objects {1 - unsure[row]:.3f}", unsure[row])
        for row in rows
    )


def _gap_text(gap: float) -> str:
    if math.isinf(gap):
        return "nearest to the middle of all, for nothing is labelled"
    return f"{gap:.3f} from the nearest labelled or chosen picture"


def _reason(pool: Pool, step: strategies.Step, predicted: Prediction) -> str:
    words = [f"predicted error {predicted.errors[step.index]:.2f}"]
    for name in ("p_over", "p_under"):
        value = pool.evidence[name][step.index]
        if np.isfinite(value) and value >= 0.5:
            words.append(f"{name} {value:.2f}")
    if np.isfinite(step.distance):
        words.append(_gap_text(step.distance))
    rare = _rarest(pool, step.index)
    if step.balance > 0.75 and rare:
        words.append(f"few like it: {rare}")
    return ", ".join(words)


def _rarest(pool: Pool, index: int) -> str:
    """Name the slice of a picture that has the fewest labelled pictures."""
    counts = [
        (int(part.counts(pool.labelled)[part.codes[index]]), name, part.values[part.codes[index]])
        for name, part in sorted(pool.slices.items())
        if part.codes[index] >= 0
    ]
    if not counts:
        return ""
    count, name, value = min(counts)
    return f"{name} {value} ({count} labelled)"


def _summary(
    pool: Pool, candidates: Indices, predicted: Prediction, picks: tuple[Pick, ...]
) -> dict[str, Any]:
    row_of = {(int(pool.run[row]), pool.sample_ids[row]): row for row in candidates}
    rows = np.array([row_of[pick.run, pick.sample_id] for pick in picks], np.intp)
    left = np.setdiff1d(candidates, rows)
    known = np.concatenate((np.flatnonzero(pool.labelled), rows))
    gaps = strategies.nearest_distance(pool.vectors[left], pool.vectors[known])
    return {
        "labelled": int(pool.labelled.sum()),
        "unlabelled": len(candidates),
        "chosen": len(picks),
        "predicted_from": predicted.basis,
        "weights": predicted.weights,
        "mean_predicted_error": {
            "chosen": _mean(predicted.errors[rows]),
            "unlabelled": _mean(predicted.errors[candidates]),
        },
        # How far an unlabelled picture is from the nearest labelled or chosen one afterwards.
        "coverage_radius": _largest(gaps),
        "slices": {
            name: {
                value: {"unlabelled": int(a), "chosen": int(b)}
                for value, a, b in zip(
                    part.values, part.counts(candidates), part.counts(rows), strict=True
                )
            }
            for name, part in sorted(pool.slices.items())
        },
    }


def _mean(values: Any) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


def _largest(values: Any) -> float | None:
    return round(float(np.max(values)), 4) if len(values) else None
