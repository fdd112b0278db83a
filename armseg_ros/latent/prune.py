# SPDX-License-Identifier: Apache-2.0
"""Choose the labelled pictures that are worth keeping, and say why each other one is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.config import require_range
from armseg_ros.data.selection import Pick, Selection
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.latent.cluster import Clusters, cluster, medoid, subgroups
from armseg_ros.latent.duplicates import NEAR, Originals, find_duplicates
from armseg_ros.latent.pool import Pool
from armseg_ros.latent.strategies import nearest_distance
from armseg_ros.types import BoolArray

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PruneSettings:
    """Settings of a pruning.

    Attributes:
        keep: Share of the labelled pictures to keep, above 0 to 1; 1 drops duplicates alone.
        good: A cluster is good where its mean error is at most this; None takes the mean of all.
        min_distance: A picture of a good cluster is far from its centre beyond this; None takes
            the median of the cluster.
        near: Near duplicates are closer than this share of the median distance of two pictures.
        seed: Of the clusters.
    """

    keep: float
    good: float | None = None
    min_distance: float | None = None
    near: float = NEAR
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep == 0:
            raise ConfigError("keep is 0, which would leave nothing; give a share above 0 to 1")
        require_range("keep", self.keep, 0.0, 1.0)
        require_range("near", self.near, 0.0, 1.0)
        require_range("seed", self.seed, 0, 2**31)
        if self.good is not None:
            require_range("good", self.good, 0.0, 1.0)
        if self.min_distance is not None:
            require_range("min_distance", self.min_distance, 0.0, 1e6)


def prune(pool: Pool, settings: PruneSettings) -> Selection:
    """Order the labelled pictures by what they teach, and keep the first ones.

    Near duplicates go first. Then come, in this order: the hardest picture of each slice; of each
    subgroup of each cluster the most typical and the hardest one; the clusters where the model is
    bad, hardest picture first; in the others, where it is good, what lies far from the centre, and
    at last what lies near it. The order does not depend on how much is kept: keeping less keeps a
    part.

    No slice that has pictures loses all of them, even if more than ``keep`` must stay for it.
    Where duplicates are more than what may go, less than ``keep`` stays.

    Raises:
        DataError: No picture is labelled.
    """
    rows = np.flatnonzero(pool.labelled)
    if not len(rows):
        raise DataError(
            "none of the pictures is labelled, and pruning goes by measured errors; evaluate the "
            "labelled data"
        )
    originals = find_duplicates(pool.vectors[rows], settings.near)
    ranking = _rank(pool, _without_duplicates(pool, rows, originals), settings)
    wanted = max(1, round(settings.keep * len(rows)))
    kept = ranking.order[: max(wanted, ranking.guards)]
    dropped = _dropped(pool, rows, originals, ranking, kept)
    return Selection(
        kind="prune",
        recipe={"name": "prune", **{k: v for k, v in asdict(settings).items() if k != "seed"}},
        seed=settings.seed,
        input_sha256=pool.sha256(),
        inputs=pool.inputs,
        summary=_summary(pool, rows, kept, originals, ranking),
        picks=tuple(pool.pick(int(row), ranking.reasons[row]) for row in kept),
        dropped=dropped,
    )


def _without_duplicates(pool: Pool, rows: Indices, originals: Originals) -> Indices:
    """Leave duplicates out, but for one of a slice that holds nothing else."""
    repeats = originals.repeats
    stay = ~repeats
    for part in pool.slices.values():
        for code in range(len(part.values)):
            members = np.flatnonzero(part.codes[rows] == code)
            if len(members) and not stay[members].any():
                stay[members[0]] = True
    return rows[stay]


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """All pictures but duplicates, the most worth keeping first, and why each has its place."""

    order: Indices
    reasons: dict[int, str]
    guards: int
    clusters: Clusters
    is_good: BoolArray


def _rank(pool: Pool, rows: Indices, settings: PruneSettings) -> _Ranking:
    vectors, errors = pool.vectors[rows], pool.errors[rows].astype(np.float64)
    clusters = cluster(vectors, settings.seed)
    sizes = np.bincount(clusters.labels)
    means = np.bincount(clusters.labels, errors) / sizes
    is_good = means <= (errors.mean() if settings.good is None else settings.good)
    reasons: dict[int, str] = {}

    def add(place: int, reason: str) -> None:
        reasons.setdefault(int(rows[place]), reason)

    for name, part in sorted(pool.slices.items()):
        for code, value in enumerate(part.values):
            members = np.flatnonzero(part.codes[rows] == code)
            if len(members):
                add(int(members[np.argmax(errors[members])]), f"hardest of {name} {value}")
    guards = len(reasons)
    for place, reason in _representatives(clusters, vectors, errors, settings.seed):
        add(place, reason)
    bad = np.flatnonzero(~is_good[clusters.labels])
    for place in bad[np.argsort(-errors[bad], kind="stable")]:
        number = clusters.labels[place]
        add(
            place,
            f"cluster {number} is bad: mean error {means[number]:.2f}, own {errors[place]:.2f}",
        )
    good = np.flatnonzero(is_good[clusters.labels])
    relative = _relative_distance(clusters, settings.min_distance)
    for place in good[np.argsort(-relative[good], kind="stable")]:
        side = "far from" if relative[place] > 1 else "near"
        add(
            place,
            f"{side} the centre of good cluster {clusters.labels[place]} "
            f"({relative[place]:.2f} of the limit)",
        )
    return _Ranking(np.array(list(reasons), np.intp), reasons, guards, clusters, is_good)


def _representatives(
    clusters: Clusters, vectors: Any, errors: npt.NDArray[np.float64], seed: int
) -> list[tuple[int, str]]:
    """Give the medoid and the hardest picture of each subgroup of each cluster."""
    out = []
    for number in range(len(clusters)):
        members = np.flatnonzero(clusters.labels == number)
        groups = subgroups(vectors[members], seed)
        for group in range(int(groups.max()) + 1):
            inside = members[groups == group]
            where = f"subgroup {group} of cluster {number}"
            out.append((int(inside[medoid(vectors[inside])]), f"medoid of {where}"))
            out.append((int(inside[np.argmax(errors[inside])]), f"hardest of {where}"))
    return out


def _relative_distance(clusters: Clusters, limit: float | None) -> npt.NDArray[np.float64]:
    """Give each picture's distance to its centre as multiple of the limit of its cluster, (N,)."""
    out = np.zeros(len(clusters.labels))
    for number in range(len(clusters)):
        members = np.flatnonzero(clusters.labels == number)
        own = clusters.distances[members].astype(np.float64)
        bound = float(np.median(own)) if limit is None else limit
        out[members] = own / bound if bound > 0 else np.where(own > 0, np.inf, 0.0)
    return out


def _dropped(
    pool: Pool, rows: Indices, originals: Originals, ranking: _Ranking, kept: Indices
) -> tuple[Pick, ...]:
    out = [
        pool.pick(int(row), f"beyond the share to keep: {ranking.reasons[row]}")
        for row in ranking.order[len(kept) :]
    ]
    for place in np.flatnonzero(originals.repeats & ~np.isin(rows, ranking.order)):
        other = pool.sample_ids[rows[originals.original[place]]]
        gap = originals.distance[place]
        out.append(pool.pick(int(rows[place]), f"duplicate of {other} (distance {gap:.4f})"))
    return tuple(out)


def _summary(
    pool: Pool, rows: Indices, kept: Indices, originals: Originals, ranking: _Ranking
) -> dict[str, Any]:
    gone = np.setdiff1d(rows, kept)
    gaps = nearest_distance(pool.vectors[gone], pool.vectors[kept])
    return {
        "labelled": len(rows),
        "kept": len(kept),
        "duplicates": int(originals.repeats.sum()),
        "duplicate_distance": round(originals.limit, 6),
        "clusters": len(ranking.clusters),
        "good_clusters": int(ranking.is_good.sum()),
        "mean_error": {
            "before": round(float(pool.errors[rows].mean()), 4),
            "kept": round(float(pool.errors[kept].mean()), 4),
        },
        # How far a dropped picture is from the nearest kept one: the farthest of them.
        "coverage_radius": round(float(gaps.max()), 4) if len(gaps) else None,
        "slices": {
            name: {
                value: {"before": int(a), "kept": int(b)}
                for value, a, b in zip(
                    part.values, part.counts(rows), part.counts(kept), strict=True
                )
            }
            for name, part in sorted(pool.slices.items())
        },
    }
