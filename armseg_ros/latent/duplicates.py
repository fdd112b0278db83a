# SPDX-License-Identifier: Apache-2.0
"""Pictures that the network cannot tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.types import BoolArray, Float32Array

NEAR = 0.1
"""Near duplicates are closer than this share of the median distance between two pictures."""
EXACT = 1e-6
"""Features have length 1 in float32: what is nearer than this is the same but for rounding."""
_CHUNK = 250
_SAMPLED = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Originals:
    """Which picture repeats which.

    Attributes:
        original: (N,) int, row of the picture that each repeats; its own row where it is new.
        distance: (N,) float32, distance to that picture.
        limit: Largest distance that counts as the same, at least 1e-6.
    """

    original: npt.NDArray[np.intp]
    distance: Float32Array
    limit: float

    @property
    def repeats(self) -> BoolArray:
        """(N,) bool, which pictures repeat an earlier one."""
        return np.asarray(self.original != np.arange(len(self.original)))


def typical_distance(vectors: Float32Array) -> float:
    """Give the median distance between two different pictures, on at most 1000 of them; 0 for one.

    Pictures are taken at equal steps, so it does not depend on chance.
    """
    some = vectors[:: max(1, len(vectors) // _SAMPLED)]
    if len(some) < 2:
        return 0.0
    return float(np.median(_distances(some, some)[np.triu_indices(len(some), 1)]))


def find_duplicates(vectors: Float32Array, near: float = NEAR) -> Originals:
    """Find for each picture an earlier one that it repeats.

    Pictures are gone through in order, and compared with the originals so far alone. So in a long
    recording of a scene that changes slowly every picture that has moved far enough from the last
    original is a new one, where chains of neighbours would make one group of all.

    Args:
        vectors: (N, C) float32.
        near: Largest distance of a duplicate, as share of the median distance of two pictures; 0
            finds exact ones alone.
    """
    limit = max(near * typical_distance(vectors), EXACT)
    exact = vectors.astype(np.float64)
    original = np.arange(len(vectors))
    distance = np.zeros(len(vectors), np.float32)
    kept: npt.NDArray[np.intp] = np.zeros(0, np.intp)
    for start in range(0, len(vectors), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(vectors)))
        to_kept = _distances(exact[rows], exact[kept])
        inside = _distances(exact[rows], exact[rows])
        new: list[int] = []
        for place in range(len(rows)):
            columns = np.concatenate((to_kept[place], inside[place, new]))
            best = int(np.argmin(columns)) if len(columns) else -1
            if best < 0 or columns[best] > limit:
                new.append(place)
                continue
            row = rows[place]
            original[row] = kept[best] if best < len(kept) else rows[new[best - len(kept)]]
            distance[row] = columns[best]
        kept = np.concatenate((kept, rows[new]))
    return Originals(original, distance, limit)


def _distances(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Give Euclidean distances (len(a), len(b)), in float64, or nearly equal ones would be equal.

    In place, for a table of 250 x 44,000 is 88 MB.
    """
    a, b = a.astype(np.float64), b.astype(np.float64, copy=False)
    out = a @ b.T
    out *= -2
    out += np.einsum("ij,ij->i", a, a)[:, None]
    out += np.einsum("ij,ij->i", b, b)
    np.maximum(out, 0, out=out)
    return np.asarray(np.sqrt(out, out=out))
