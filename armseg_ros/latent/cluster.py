# SPDX-License-Identifier: Apache-2.0
"""Groups of pictures in the latent space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from armseg_ros.types import Float32Array, Int32Array

PICTURES_PER_CLUSTER = 100
MOST_CLUSTERS = 256
_LARGEST_TREE = 2000
"""Merging step by step takes memory with the square of the pictures: 32 MB here."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Pictures in groups.

    Attributes:
        labels: (N,) int32, 0..K-1, group of each picture.
        centres: (K, C) float32, means of the groups.
        distances: (N,) float32, Euclidean distance of each picture to the centre of its group.
    """

    labels: Int32Array
    centres: Float32Array
    distances: Float32Array

    def __len__(self) -> int:
        return len(self.centres)


def cluster(vectors: Float32Array, seed: int, count: int | None = None) -> Clusters:
    """Group pictures by k-means.

    Args:
        vectors: (N, C) float32, N >= 1.
        seed: Of the starting centres; the same input and seed give the same groups.
        count: Number of groups; None takes one for 100 pictures, 1 to 256. There are never more
            than distinct pictures.
    """
    wanted = count or min(MOST_CLUSTERS, max(1, round(len(vectors) / PICTURES_PER_CLUSTER)))
    wanted = min(wanted, len(np.unique(vectors, axis=0)))
    if wanted == 1:
        return _grouped(vectors, np.zeros(len(vectors), np.int32))
    from sklearn.cluster import KMeans

    model = KMeans(wanted, n_init=1, max_iter=100, random_state=seed).fit(vectors)
    return _grouped(vectors, model.labels_.astype(np.int32))


def subgroups(vectors: Float32Array, seed: int) -> Int32Array:
    """Divide the pictures of one cluster into about the square root of their number.

    Ward's hierarchical clustering; k-means above 2000 pictures.

    Returns:
        (N,) int32 group of each; N may be 0.
    """
    count = math.ceil(math.sqrt(len(vectors)))
    if count <= 1:
        return np.zeros(len(vectors), np.int32)
    if len(vectors) > _LARGEST_TREE:
        return cluster(vectors, seed, count).labels
    from sklearn.cluster import AgglomerativeClustering

    return np.asarray(AgglomerativeClustering(count).fit(vectors).labels_, np.int32)


def medoid(vectors: Float32Array) -> int:
    """Find the picture nearest to the mean; the first of equal ones."""
    return int(np.argmin(np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)))


def _grouped(vectors: Float32Array, labels: Int32Array) -> Clusters:
    """Number the groups by their first picture, so that numbers do not depend on chance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first)).astype(np.int32)
    labels = rank[inverse.ravel()]
    count = len(first)
    sums = np.zeros((count, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    sizes = np.bincount(labels, minlength=count)[:, None]
    centres = np.asarray(sums / sizes, np.float32)
    distances = np.linalg.norm(vectors - centres[labels], axis=1)
    return Clusters(labels, centres, np.asarray(distances, np.float32))
