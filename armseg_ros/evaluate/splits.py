# SPDX-License-Identifier: Apache-2.0
"""Over- and under-segmentation against ground truth, by two rules side by side.

With a = share of a prediction inside a ground truth, b = share of the ground truth inside the
prediction, and T = tolerance:

- *Seed rule* (Tensorleap's ARMBench example): a ground truth is over-segmented when two or more
  predictions have a > T, a prediction is under-segmented when two or more ground truths have b > T.
- *Hoover* (Hoover et al., PAMI 18(7), 1996): the same sets with >= T, and the set must also cover
  T of the object that it splits, or fill T of the mask that merges it.

They disagree where fragments leave a hole, and where a merged mask holds much background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.overlap import Overlap, covered_share
from armseg_ros.types import BoolArray, Float32Array, Mask

TOLERANCE = 0.8  # of the seed, and common with Hoover


class Outcome(IntEnum):
    """What became of a prediction or a ground truth."""

    UNMATCHED = 0  # a missed ground truth, or a prediction that is noise
    CORRECT = 1
    OVER = 2  # a ground truth that was split, or one of the predictions that split it
    UNDER = 3  # a prediction that merges, or one of the ground truths that it merges
    IGNORED = 4  # an unmatched prediction in a crowd


@dataclass(frozen=True, slots=True)
class Group:
    """One object in parts.

    Attributes:
        whole: The ground truth that was split, or the prediction that merges.
        parts: The predictions that split it, or the ground truths that it merges; two or more.
    """

    whole: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What one rule says about the P predictions and G ground truths of one picture.

    Attributes:
        over: Ground truths that were split.
        under: Predictions that merge.
        correct: Pairs of prediction and ground truth that agree both ways.
        predictions: (P,) int8 ``Outcome``.
        truth: (G,) int8 ``Outcome``.
    """

    over: tuple[Group, ...]
    under: tuple[Group, ...]
    correct: tuple[tuple[int, int], ...]
    predictions: npt.NDArray[np.int8]
    truth: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        self.predictions.flags.writeable = False
        self.truth.flags.writeable = False

    def split_predictions(self) -> BoolArray:
        """(P,) bool, True where a prediction is one of the parts of a split object."""
        out = np.zeros(len(self.predictions), np.bool_)
        for group in self.over:
            out[list(group.parts)] = True
        return out

    def merging_predictions(self) -> BoolArray:
        """(P,) bool, True where a prediction merges ground truths."""
        out = np.zeros(len(self.predictions), np.bool_)
        out[[group.whole for group in self.under]] = True
        return out


def seed_rule(overlap: Overlap, tolerance: float = TOLERANCE) -> Judgement:
    """Judge by containment alone.

    An instance can be in several groups; its outcome is UNDER before OVER before CORRECT.

    Args:
        overlap: Of the predictions and ground truths to judge, objects only.
        tolerance: Share above which one mask contains another, 0..1.
    """
    inside_gt = overlap.pred_inside_gt > tolerance
    inside_pred = overlap.gt_inside_pred > tolerance
    over = tuple(
        Group(int(j), tuple(np.flatnonzero(inside_gt[:, j]).tolist()))
        for j in np.flatnonzero(inside_gt.sum(axis=0) >= 2)
    )
    under = tuple(
        Group(int(i), tuple(np.flatnonzero(inside_pred[i]).tolist()))
        for i in np.flatnonzero(inside_pred.sum(axis=1) >= 2)
    )
    pairs = np.argwhere(inside_gt & inside_pred).tolist()
    return _judgement(overlap, over, under, tuple((i, j) for i, j in pairs))


def hoover_rule(
    overlap: Overlap,
    predictions: Sequence[Mask],
    truth: Sequence[Mask],
    tolerance: float = TOLERANCE,
) -> Judgement:
    """Judge by containment and coverage; every instance gets one outcome.

    An instance that would fit several keeps the one with the larger mean of containment and
    coverage. At a tie the error goes before the correct match, so that a duplicate shows.

    Args:
        overlap: Of ``predictions`` and ``truth``.
        predictions: P masks; their union is needed, since masks of a network overlap.
        truth: G masks.
        tolerance: T, 0.5..1.
    """
    a, b = overlap.pred_inside_gt, overlap.gt_inside_pred
    claims = [
        *(_over_claim(j, a[:, j], predictions, truth, tolerance) for j in range(len(truth))),
        *(_under_claim(i, b[i], predictions, truth, tolerance) for i in range(len(predictions))),
        *(
            _Claim((float(a[i, j]) + float(b[i, j])) / 2, Outcome.CORRECT, (i,), (j,))
            for i, j in np.argwhere((a >= tolerance) & (b >= tolerance)).tolist()
        ),
    ]
    accepted = _accept([claim for claim in claims if claim is not None])
    return _judgement(
        overlap,
        tuple(Group(c.truth[0], c.predictions) for c in accepted if c.kind == Outcome.OVER),
        tuple(Group(c.predictions[0], c.truth) for c in accepted if c.kind == Outcome.UNDER),
        tuple((c.predictions[0], c.truth[0]) for c in accepted if c.kind == Outcome.CORRECT),
    )


@dataclass(frozen=True, slots=True)
class _Claim:
    """A set of instances that satisfies one of Hoover's definitions."""

    mean_overlap: float
    kind: Outcome
    predictions: tuple[int, ...]
    truth: tuple[int, ...]


def _over_claim(
    j: int, a: Float32Array, predictions: Sequence[Mask], truth: Sequence[Mask], tolerance: float
) -> _Claim | None:
    parts = np.flatnonzero(a >= tolerance).tolist()
    if len(parts) < 2:
        return None
    masks = [predictions[i] for i in parts]
    covered = covered_share(truth[j], masks)
    inside = float(np.average(a[parts], weights=[mask.area for mask in masks]))
    mean = (covered + inside) / 2
    return _Claim(mean, Outcome.OVER, tuple(parts), (j,)) if covered >= tolerance else None


def _under_claim(
    i: int, b: Float32Array, predictions: Sequence[Mask], truth: Sequence[Mask], tolerance: float
) -> _Claim | None:
    parts = np.flatnonzero(b >= tolerance).tolist()
    if len(parts) < 2:
        return None
    masks = [truth[j] for j in parts]
    covered = covered_share(predictions[i], masks)
    inside = float(np.average(b[parts], weights=[mask.area for mask in masks]))
    mean = (covered + inside) / 2
    return _Claim(mean, Outcome.UNDER, (i,), tuple(parts)) if covered >= tolerance else None


def _accept(claims: list[_Claim]) -> list[_Claim]:
    """Take claims by descending mean overlap as long as their instances are still free."""
    order = sorted(claims, key=lambda c: (-round(c.mean_overlap, 6), c.kind == Outcome.CORRECT))
    taken_predictions: set[int] = set()
    taken_truth: set[int] = set()
    accepted = []
    for claim in order:
        if taken_predictions.isdisjoint(claim.predictions) and taken_truth.isdisjoint(claim.truth):
            accepted.append(claim)
            taken_predictions.update(claim.predictions)
            taken_truth.update(claim.truth)
    return sorted(accepted, key=lambda claim: (claim.truth, claim.predictions))


def _judgement(
    overlap: Overlap,
    over: tuple[Group, ...],
    under: tuple[Group, ...],
    correct: tuple[tuple[int, int], ...],
) -> Judgement:
    predictions = np.zeros(overlap.iou.shape[0], np.int8)
    truth = np.zeros(overlap.iou.shape[1], np.int8)
    for i, j in correct:
        predictions[i] = truth[j] = Outcome.CORRECT
    for group in over:
        truth[group.whole] = predictions[list(group.parts)] = Outcome.OVER
    for group in under:
        predictions[group.whole] = truth[list(group.parts)] = Outcome.UNDER
    return Judgement(over, under, correct, predictions, truth)


def is_duplicate(group: Group, overlap: Overlap, tolerance: float = TOLERANCE) -> bool:
    """Tell an object that was found more than once from one that was broken into fragments.

    A duplicate (one of the parts alone holds ``tolerance`` of the object) is for non-maximum
    suppression to cure, fragments are for the network.
    """
    shares = overlap.gt_inside_pred[list(group.parts), group.whole]
    return bool((shares >= tolerance).any())  # as arrays: NumPy 1.26 compares scalars in float64


def soft_over(overlap: Overlap, tolerance: float = TOLERANCE) -> Float32Array:
    """(G,) float32, 0..1: second largest share that a prediction inside a ground truth holds.

    Only predictions with more than ``tolerance`` of themselves inside count; 0 is not split.
    """
    shares = np.where(overlap.pred_inside_gt > tolerance, overlap.gt_inside_pred, np.float32(0))
    return _second_largest(shares.T)


def soft_under(overlap: Overlap) -> Float32Array:
    """(P,) float32, 0..1: second largest share of a ground truth inside a prediction."""
    return _second_largest(overlap.gt_inside_pred)


def _second_largest(rows: Float32Array) -> Float32Array:
    if rows.shape[1] < 2:
        return np.zeros(len(rows), np.float32)
    return np.sort(rows, axis=1)[:, -2].astype(np.float32)
