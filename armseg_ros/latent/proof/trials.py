# SPDX-License-Identifier: Apache-2.0
"""Which pictures each experiment is about: a pool that is divided anew for each seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from armseg_ros.latent.features import load_population
from armseg_ros.latent.pool import FOUND, Pool, make_pool
from armseg_ros.latent.prune import PruneSettings, prune
from armseg_ros.latent.select import SelectSettings, order
from armseg_ros.latent.strategies import Indices, random_order

SEEDS = (0, 1, 2)
LABELLED = 120
BUDGETS = (60, 120)
SHARES = (0.25, 0.5)
SLICES = ("tote_color", FOUND)
"""What is known of an unlabelled picture; other attributes of synthetic totes tell the answer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training.

    Attributes:
        name: ``select_60_targeted_0``: experiment, budget or percentage, strategy, seed.
        sample_ids: Pictures to train on.
        seed: Of the division and the training.
    """

    name: str
    sample_ids: tuple[str, ...]
    seed: int


def read_pool(run: Path) -> Pool:
    """Read the pool of the proof, every picture with its true error."""
    return make_pool(load_population([run]), SLICES)


def divide(pool: Pool, seed: int) -> tuple[Pool, Indices]:
    """Hide the errors of all but 120 pictures; give what a strategy sees, and the hidden rows."""
    rows = np.random.default_rng(seed).permutation(len(pool))
    hidden = np.sort(rows[LABELLED:])
    errors = pool.errors.copy()
    errors[hidden] = np.nan
    return replace(pool, errors=errors), hidden


def trials(pool: Pool) -> Iterator[Trial]:
    """List every training of the proof."""
    for budget in BUDGETS:
        for seed in SEEDS:
            seen, hidden = divide(pool, seed)
            labelled = np.setdiff1d(np.arange(len(pool)), hidden)
            for strategy in ("targeted", "random"):
                picks = order(seen, hidden, SelectSettings(budget, strategy, seed))
                rows = np.concatenate((labelled, picks))
                yield _trial(pool, f"select_{budget}_{strategy}", rows, seed)
    for share in SHARES:
        for seed in SEEDS:
            kept = prune(pool, PruneSettings(share, seed=seed)).picks
            name = f"prune_{share * 100:.0f}"
            yield Trial(f"{name}_prune_{seed}", tuple(pick.sample_id for pick in kept), seed)
            rows = random_order(np.arange(len(pool)), seed)[: len(kept)]
            yield _trial(pool, f"{name}_random", rows, seed)
    for seed in SEEDS:
        yield _trial(pool, "prune_100_all", np.arange(len(pool)), seed)


def _trial(pool: Pool, name: str, rows: Indices, seed: int) -> Trial:
    return Trial(f"{name}_{seed}", tuple(pool.sample_ids[row] for row in rows), seed)
