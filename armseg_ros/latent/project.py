# SPDX-License-Identifier: Apache-2.0
"""Lay the latent space out on a plane for eyes, and find the neighbours in it for everything else.

Distances on the map are not latent distances: t-SNE keeps neighbours together and nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import numpy.typing as npt

from armseg_ros.types import Float32Array

Method = Literal["auto", "tsne", "pca"]

# scikit-learn's t-SNE takes minutes beyond this; the rest is placed among these (see docs).
LANDMARKS = 3000
PERPLEXITY = 30.0
ITERATIONS = 500
EARLY_ITERATIONS = 250  # with exaggeration, both libraries' default
PLACED_BY = 5  # neighbours on the map that a further picture is placed between

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Where each picture lies on the plane.

    Attributes:
        positions: (N, 2) float32, within -1..1, without a unit.
        method: How it was made, for people to read.
    """

    positions: Float32Array
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest pictures of each picture, itself left out, nearest first.

    Attributes:
        indices: (N, K) int32.
        distances: (N, K) float32, Euclidean.
    """

    indices: Int32Array
    distances: Float32Array


def find_neighbours(reduced: Float32Array, count: int) -> Neighbours:
    """Find the nearest neighbours of each of (N, C) points; at most N - 1 of them."""
    from sklearn.neighbors import NearestNeighbors

    rows = len(reduced)
    count = min(count, rows - 1)
    if count < 1:
        return Neighbours(np.empty((rows, 0), np.int32), np.empty((rows, 0), np.float32))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(reduced)
    distances, indices = search.kneighbors()  # of the points themselves: without themselves
    return Neighbours(indices.astype(np.int32), distances.astype(np.float32))


def lay_out(reduced: Float32Array, method: Method = "auto", *, seed: int = 0) -> Map:
    """Lay (N, C) principal components out on the plane.

    Args:
        reduced: Points, the component of the largest variance first.
        method: ``pca`` takes the first two components. ``tsne`` takes t-SNE that starts from them:
            of openTSNE where it is installed, else of scikit-learn, which beyond 3,000 points maps
            a random 3,000 and places the others between their nearest five. ``auto`` is ``tsne``,
            and ``pca`` below 4 points.
        seed: Of t-SNE and of the random 3,000.
    """
    plane = np.zeros((len(reduced), 2), np.float32)
    plane[:, : reduced.shape[1]] = reduced[:, :2]
    if method == "pca" or len(reduced) < 4 or not np.ptp(reduced, axis=0).any():
        return Map(_fit_to_unit(plane), "the first two principal components")
    if find_spec("openTSNE") is not None:
        return Map(_fit_to_unit(_open_tsne(reduced, plane, seed)), "t-SNE (openTSNE)")
    if len(reduced) <= LANDMARKS:
        return Map(_fit_to_unit(_sklearn_tsne(reduced, plane, seed)), "t-SNE (scikit-learn)")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(reduced))[:LANDMARKS])
    landmarks = _sklearn_tsne(reduced[chosen], plane[chosen], seed)
    positions = place(reduced, reduced[chosen], landmarks)
    positions[chosen] = landmarks
    described = f"t-SNE (scikit-learn) of {LANDMARKS:,} pictures, the others between their nearest"
    return Map(_fit_to_unit(positions), described)


def place(points: Float32Array, known: Float32Array, positions: Float32Array) -> Float32Array:
    """Place points on a map that is there already.

    Args:
        points: (N, C) principal components of the further points.
        known: (M, C) those of the points on the map, M >= 1, in the same basis.
        positions: (M, 2) where these lie.

    Returns:
        (N, 2) float32: the mean of the nearest five, weighted by one over the squared distance. A
        point that equals a known one lies where that one does.
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(PLACED_BY, len(known))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(known)
    distances, indices = search.kneighbors(points)
    squared = np.maximum(distances.astype(np.float64) ** 2, 1e-12)
    weights = squared.min(axis=1, keepdims=True) / squared
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((weights[:, :, None] * positions[indices]).sum(axis=1), np.float32)


def _sklearn_tsne(reduced: Float32Array, plane: Float32Array, seed: int) -> Float32Array:
    from inspect import signature

    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # scikit-learn 1.5 renamed n_iter.
    renamed = "max_iter" in signature(TSNE).parameters
    iterations = {"max_iter" if renamed else "n_iter": EARLY_ITERATIONS + ITERATIONS}
    tsne = TSNE(
        perplexity=_perplexity(len(reduced)),
        init=_small(plane),
        learning_rate="auto",
        random_state=seed,
        **iterations,
    )
    # Sums of several threads come in any order, and the map has to be the same again.
    with threadpool_limits(limits=1, user_api="openmp"):
        return np.asarray(tsne.fit_transform(reduced), np.float32)


def _open_tsne(reduced: Float32Array, plane: Float32Array, seed: int) -> Float32Array:
    from openTSNE import TSNE

    tsne = TSNE(
        perplexity=_perplexity(len(reduced)),
        initialization=_small(plane).astype(np.float64),
        n_iter=ITERATIONS,
        early_exaggeration_iter=EARLY_ITERATIONS,
        random_state=seed,
        n_jobs=1,  # as above
    )
    return np.asarray(tsne.fit(reduced), np.float32)


def _perplexity(count: int) -> float:
    """Keep it below a third of the other points, which is as many as it has neighbours."""
    return max(min(PERPLEXITY, (count - 1) / 3), 1.0)


def _small(plane: Float32Array) -> Float32Array:
    """Scale to a standard deviation of 1e-4, which t-SNE is to start from (Kobak, Berens 2019)."""
    return np.asarray(plane / np.std(plane[:, 0]) * 1e-4, np.float32)


def _fit_to_unit(positions: Float32Array) -> Float32Array:
    """Centre and scale to -1..1, both axes alike."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    half = float((high - low).max()) / 2 or 1.0
    return np.asarray((positions - (low + high) / 2) / half, np.float32)
