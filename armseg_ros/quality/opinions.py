# SPDX-License-Identifier: Apache-2.0
"""Second opinions as masks: what the best candidates would have drawn, on a grid half as fine.

Boxes of things that lie across one another overlap although the things do not; masks tell them
apart. Two disjoint candidate masks that fill one instance speak for a merge, one candidate mask
that fills two instances for a split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.quality.evidence import Evidence
from armseg_ros.types import BoolArray, Float32Array

INSIDE = 0.8
LEAST, MOST = 0.08, 0.7  # share of an instance that a part of it covers
APART = 0.15  # share of the smaller of two parts in the other
EXPLAINED = 0.5  # a candidate mask this close to another instance speaks for that one


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """Candidate masks (C) against instances (N).

    Attributes:
        scores: (C,) float32.
        inside: (C, N) float32, share of the candidate inside the instance.
        covers: (C, N) float32, share of the instance inside the candidate.
        iou: (C, N) float32.
        apart: (C, C) bool, whether two candidates hardly share a cell.
    """

    scores: Float32Array
    inside: Float32Array
    covers: Float32Array
    iou: Float32Array
    apart: BoolArray


def compare_masks(evidence: Evidence) -> Opinions:
    """Compare the masks of the best candidates with those of the instances."""
    pool = evidence.pool_masks
    coarse = evidence.masks[:, ::2, ::2].astype(np.float32)
    own = coarse.reshape(len(evidence), pool.shape[1])
    shared = pool @ own.T
    area = np.maximum(pool.sum(axis=1), 1)[:, None]
    own_area = np.maximum(own.sum(axis=1), 1)[None, :]
    between = pool @ pool.T / np.minimum(area, area.T)
    return Opinions(
        evidence.pool_scores[: len(pool)],
        shared / area,
        shared / own_area,
        shared / (area + own_area - shared),
        between < APART,
    )


def opinion_features(opinions: Opinions) -> dict[str, Float32Array]:
    """Features of every instance; each is (N,) float32."""
    close = opinions.iou > EXPLAINED
    free = close.sum(axis=1, keepdims=True) - close == 0
    part = (opinions.inside > INSIDE) & (opinions.covers > LEAST) & (opinions.covers < MOST)
    whole = (opinions.covers > INSIDE) & (opinions.inside < MOST)
    scores = opinions.scores[:, None]
    count = close.sum(axis=0)
    mean = (opinions.iou * close).sum(axis=0) / np.maximum(count, 1)
    best, cover = _two_parts(opinions, part & free)
    any_best, any_cover = _two_parts(opinions, part)
    return {
        "mask_part_score": (scores * (part & free)).max(axis=0, initial=0),
        "mask_part_sum": (scores * (part & free)).sum(axis=0),
        "mask_part_any": (scores * part).sum(axis=0),
        "mask_whole_score": (scores * (whole & free)).max(axis=0, initial=0),
        "mask_whole_sum": (scores * (whole & free)).sum(axis=0),
        "mask_agreement": mean.astype(np.float32),
        "mask_agreeing_score": (scores * close).sum(axis=0),
        "mask_two_parts": best,
        "mask_two_parts_cover": cover,
        "mask_two_parts_any": any_best,
        "mask_two_parts_any_cover": any_cover,
    }


def _two_parts(opinions: Opinions, part: BoolArray) -> tuple[Float32Array, Float32Array]:
    """(N,) best lower score times common cover, and best cover, of two disjoint parts."""
    best, cover = np.zeros((2, part.shape[1]), np.float32)
    for k in np.flatnonzero(part.sum(axis=0) >= 2):
        rows = np.flatnonzero(part[:, k])
        apart = opinions.apart[np.ix_(rows, rows)]
        covers = opinions.covers[rows, k]
        both = np.minimum(covers[:, None] + covers, 1) * apart
        scores = opinions.scores[rows]
        best[k] = (np.minimum(scores[:, None], scores) * both).max()
        cover[k] = both.max()
    return best, cover


def common_whole(
    opinions: Opinions, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> Float32Array:
    """(Q,) best score of a candidate whose mask fills both of a pair and little else."""
    both = (opinions.covers[:, first] > INSIDE) & (opinions.covers[:, second] > INSIDE)
    filled = np.minimum(opinions.inside[:, first] + opinions.inside[:, second], 1)
    best: Float32Array = (both * filled * opinions.scores[:, None]).max(axis=0, initial=0)
    return best
