# SPDX-License-Identifier: Apache-2.0
"""How good a probability is: ranking, false alarms, calibration, and intervals by scene.

Every function takes ``scores`` (R,), higher is more suspicious, and ``labels`` (R,) bool; None
stands for a figure that the labels do not define (no positive, or no negative).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[Any]
Labels = npt.NDArray[np.bool_]

BINS = 10  # of equal mass


def auroc(scores: Scores, labels: Labels) -> float | None:
    """Probability that a positive outranks a negative; ties count half."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: Scores, labels: Labels) -> float | None:
    """Area under the precision-recall curve, as a sum of steps; equal scores are one step."""
    if not labels.any():
        return None
    true, false = _cumulative(scores, labels)
    precision = true / (true + false)
    return float((np.diff(true, prepend=0) * precision).sum() / true[-1])


def false_positive_rate_at(
    scores: Scores, labels: Labels, true_positive_rate: float = 0.95
) -> float | None:
    """Share of the negatives that are flagged where the threshold catches that many positives."""
    if not labels.any() or labels.all():
        return None
    true, false = _cumulative(scores, labels)
    step = int(np.searchsorted(true, true_positive_rate * true[-1] - 1e-9))
    return float(false[step] / false[-1])


def recall_at_false_alarms(
    scores: Scores, labels: Labels, pictures: int, per_picture: float
) -> float | None:
    """Share of the positives caught with so many false alarms per picture on average."""
    if not labels.any():
        return None
    true, false = _cumulative(scores, labels)
    allowed = np.flatnonzero(false <= per_picture * pictures + 1e-9)
    return float(true[allowed[-1]] / true[-1]) if len(allowed) else 0.0


def _cumulative(scores: Scores, labels: Labels) -> tuple[Scores, Scores]:
    """True and false positives at every distinct threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(hits)[last].astype(float)
    return true, last + 1 - true


def reliability(p: Scores, labels: Labels) -> list[dict[str, float]]:
    """Mean probability and share of positives in bins of equal mass."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [
        {
            "count": len(part),
            "predicted": float(p[part].mean()),
            "observed": float(labels[part].mean()),
        }
        for part in parts
    ]


def calibration_error(p: Scores, labels: Labels) -> float | None:
    """Expected calibration error over bins of equal mass, 0..1."""
    if not len(p):
        return None
    gaps = [b["count"] * abs(b["predicted"] - b["observed"]) for b in reliability(p, labels)]
    return float(sum(gaps) / len(p))


def brier_skill(p: Scores, labels: Labels) -> float | None:
    """One minus the squared error by that of always saying the prevalence; 1 is perfect."""
    rate = labels.mean() if len(labels) else 0.0
    if not 0 < rate < 1:
        return None
    return float(1 - ((p - labels) ** 2).mean() / (rate * (1 - rate)))


def risk_coverage_area(p: Scores, labels: Labels) -> float | None:
    """Mean share of wrong cases among the accepted ones, over all coverages (AURC)."""
    if not len(p):
        return None
    errors = labels[np.argsort(p, kind="stable")]
    return float((np.cumsum(errors) / np.arange(1, len(errors) + 1)).mean())


def generalized_risk_coverage_area(p: Scores, labels: Labels) -> float | None:
    """Mean number of wrong cases among the accepted ones by all cases, over all coverages (AUGRC).

    Traub et al., arXiv 2407.01032; it does not weigh the first few accepted cases as AURC does.
    """
    if not len(p):
        return None
    errors = labels[np.argsort(p, kind="stable")]
    return float((np.cumsum(errors) / len(errors)).mean())


def interval(values: Sequence[float | None]) -> tuple[float, float] | None:
    """95 % interval of bootstrapped figures; None where most draws did not define it."""
    defined = [value for value in values if value is not None]
    if len(defined) * 2 < len(values) or not defined:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def resamples(
    groups: npt.NDArray[np.intp], repeats: int = 200, seed: int = 0
) -> list[npt.NDArray[np.intp]]:
    """Draw whole scenes with replacement.

    Args:
        groups: (R,) scene of each row.
        repeats: Draws.
        seed: Of the draws.

    Returns:
        Rows of each draw; no draw at all with fewer than two scenes, which would all be alike.
    """
    order = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    if len(starts) < 2:
        return []
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(repeats):
        scenes = rng.integers(0, len(starts), len(starts))
        sizes = counts[scenes]
        ends = np.cumsum(sizes)
        steps = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        out.append(order[np.repeat(starts[scenes], sizes) + steps])
    return out
