# SPDX-License-Identifier: Apache-2.0
"""Ways to choose pictures to label: targeted, and the three it is measured against.

Each gives an order of candidates: row numbers of the pool, the most wanted first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.latent.pool import UNCERTAINTY, Pool, Slices
from armseg_ros.types import BoolArray, Float32Array

Indices = npt.NDArray[np.intp]
_SAMPLED = 1000  # pictures that typical distances are measured on


def random_order(candidates: Indices, seed: int) -> Indices:
    """Shuffle the candidates."""
    return np.random.default_rng(seed).permutation(candidates)


def by_uncertainty(pool: Pool, candidates: Indices) -> Indices:
    """Put first where the model is least sure of what it found; equal ones in order of name."""
    return candidates[np.argsort(-pool.evidence[UNCERTAINTY][candidates], kind="stable")]


def distances_to(vectors: Float32Array, point: Float32Array) -> Float32Array:
    """Give the Euclidean distance of each row to a point, (N,) float32."""
    squares = np.einsum("ij,ij->i", vectors, vectors) - 2 * (vectors @ point) + point @ point
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)


def nearest_distance(vectors: Float32Array, others: Float32Array) -> Float32Array:
    """Give each row's distance to the nearest of ``others``, (N,) float32; infinite without any."""
    if not len(others) or not len(vectors):
        return np.full(len(vectors), np.inf, np.float32)
    from sklearn.metrics import pairwise_distances_argmin_min

    return np.asarray(pairwise_distances_argmin_min(vectors, others)[1], np.float32)


def typical_spacing(vectors: Float32Array) -> float:
    """Give the median distance of a picture to its nearest neighbour, on at most 1000 of them."""
    if len(vectors) < 2:
        return 0.0
    from sklearn.neighbors import NearestNeighbors

    some = vectors[:: max(1, len(vectors) // _SAMPLED)]
    distances, _ = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(vectors).kneighbors(some)
    return float(np.median(distances[:, 1]))


def k_centre(pool: Pool, candidates: Indices) -> Iterator[tuple[int, float]]:
    """Take again and again what is farthest from all that is labelled or taken.

    Greedy core-set selection (Sener and Savarese 2018). Without labels it begins in the middle.

    Yields:
        Row and its distance to the nearest labelled or taken picture; infinite without one.
    """
    vectors = pool.vectors[candidates]
    nearest = nearest_distance(vectors, pool.vectors[pool.labelled])
    if not np.isfinite(nearest).all():
        nearest = -distances_to(vectors, vectors.mean(axis=0))  # the middle one is the largest
        first = int(np.argmax(nearest))
        yield int(candidates[first]), math.inf
        nearest = distances_to(vectors, vectors[first])
        nearest[first] = -1
    while nearest.max(initial=-1) >= 0:
        best = int(np.argmax(nearest))
        yield int(candidates[best]), float(nearest[best])
        nearest = np.minimum(nearest, distances_to(vectors, vectors[best]))
        nearest[best] = -1


@dataclass(frozen=True, slots=True)
class Strengths:
    """How much each part of the product counts: its exponent; 0 leaves a part out.

    Attributes:
        error: Predicted error.
        novelty: Distance to what is labelled or taken.
        balance: How few labelled or taken pictures the slices of a picture have.
    """

    error: float = 1.0
    novelty: float = 0.5
    balance: float = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One picture that the targeted strategy took.

    Attributes:
        index: Its row.
        score: The product when it was taken.
        distance: To the nearest labelled or taken picture; infinite where there was none.
        balance: Balance of its slices, 0..1, 1 in the rarest.
        spacing: The minimum distance to other picks that held then.
    """

    index: int
    score: float
    distance: float
    balance: float
    spacing: float


def targeted(
    pool: Pool,
    candidates: Indices,
    errors: Float32Array,
    strengths: Strengths,
    min_distance: float | None,
) -> Iterator[Step]:
    """Take the largest predicted error x novelty x balance, and look again after each.

    Novelty is d / (d + m), with d the distance to the nearest labelled or taken picture and m the
    median of d at the beginning: 0 for a copy, 1/2 at the median, never far above for an outlier.

    Args:
        pool: All pictures.
        candidates: Rows to choose from.
        errors: (N,) predicted errors.
        strengths: Exponents of the product.
        min_distance: No pick is nearer to another pick. None begins at half the typical spacing,
            and halves it whenever no candidate is left, so that every candidate comes at last.

    Yields:
        The picks; with a ``min_distance`` they end where none is far enough from the others.
    """
    vectors = pool.vectors[candidates]
    nearest = nearest_distance(vectors, pool.vectors[pool.labelled])
    apart = np.full(len(candidates), np.inf, np.float32)  # to the nearest pick alone
    middle = float(np.median(nearest)) if len(candidates) and np.isfinite(nearest).all() else 0.0
    middle = middle or typical_spacing(vectors) or 1.0
    spacing = typical_spacing(vectors) / 2 if min_distance is None else min_distance
    balance = _Balance(pool, candidates)
    wanted = np.maximum(errors[candidates], 1e-6) ** strengths.error
    open_rows: BoolArray = np.ones(len(candidates), np.bool_)
    while open_rows.any():
        allowed = open_rows & (apart >= spacing)
        if not allowed.any():
            if min_distance is not None:
                return
            spacing = spacing / 2 if spacing > middle * 1e-3 else 0.0
            continue
        novelty = 1 - middle / (nearest + middle)  # 1 where nothing is labelled or taken yet
        score = wanted * novelty**strengths.novelty * balance.weights() ** strengths.balance
        best = int(np.argmax(np.where(allowed, score, -1.0)))
        yield Step(
            int(candidates[best]),
            float(score[best]),
            float(nearest[best]),
            float(balance.weights()[best]),
            spacing,
        )
        away = distances_to(vectors, vectors[best])
        nearest, apart = np.minimum(nearest, away), np.minimum(apart, away)
        open_rows[best] = False
        balance.take(best)


class _Balance:
    """Keeps count of the labelled and taken pictures in each slice."""

    def __init__(self, pool: Pool, candidates: Indices) -> None:
        self._slices = [
            (Slices(part.values, part.codes[candidates]), part.counts(pool.labelled))
            for part in pool.slices.values()
        ]
        self._count = len(candidates)

    def weights(self) -> npt.NDArray[np.float64]:
        """Give sqrt(fewest / own), counts plus one, as geometric mean over the divisions, (K,)."""
        out = np.ones(self._count)
        for part, counts in self._slices:
            here = np.append(np.sqrt((counts.min() + 1) / (counts + 1)), 1.0)  # -1: in no part
            out *= here[part.codes]
        return np.asarray(out ** (1 / max(1, len(self._slices))))

    def take(self, row: int) -> None:
        """Count one more."""
        for part, counts in self._slices:
            if part.codes[row] >= 0:
                counts[part.codes[row]] += 1
