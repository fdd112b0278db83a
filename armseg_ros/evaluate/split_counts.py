# SPDX-License-Identifier: Apache-2.0
"""Over- and under-segmentation of whole pictures: who is judged, counts, rates, tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.overlap import Overlap, covered_share
from armseg_ros.evaluate.splits import (
    TOLERANCE,
    Judgement,
    Outcome,
    hoover_rule,
    is_duplicate,
    seed_rule,
)
from armseg_ros.types import OBJECT, BoolArray, Detections, Instances

TOLERANCES = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # the usual Hoover plot
RULES = ("seed", "hoover")
CROWD_SHARE = 0.5  # a prediction with more of itself than this in a crowd is excused


@dataclass(frozen=True, slots=True, eq=False)
class PictureSplits:
    """One picture, judged by both rules; groups index into ``shown`` and ``counted``.

    Attributes:
        shown: (P,) indices of the judged predictions: objects above the score threshold.
        counted: (G,) indices of the judged ground truths: objects, without crowds.
        overlap: Of the two.
        seed: By the seed rule.
        hoover: By Hoover's.
        tolerance: T of both.
    """

    shown: npt.NDArray[np.intp]
    counted: npt.NDArray[np.intp]
    overlap: Overlap
    seed: Judgement
    hoover: Judgement
    tolerance: float


def judge_picture(
    detections: Detections,
    truth: Instances,
    score_threshold: float,
    tolerances: Sequence[float] = (TOLERANCE,),
) -> tuple[PictureSplits, ...]:
    """Judge the objects of a picture, once per tolerance; overlaps are computed once.

    A picture without predictions has all its ground truth unmatched: missed, not perfect.
    """
    shown = np.flatnonzero((detections.class_ids == OBJECT) & (detections.scores > score_threshold))
    objects = truth.class_ids == OBJECT
    counted = np.flatnonzero(objects & ~truth.crowd)
    predictions = [detections.masks[i] for i in shown]
    truth_masks = [truth.masks[j] for j in counted]
    crowds = [truth.masks[j] for j in np.flatnonzero(objects & truth.crowd)]
    excused = np.array([covered_share(p, crowds) > CROWD_SHARE for p in predictions], np.bool_)
    overlap = Overlap.of(predictions, truth_masks)
    out = []
    for tolerance in tolerances:
        seed = seed_rule(overlap, tolerance)
        hoover = hoover_rule(overlap, predictions, truth_masks, tolerance)
        judged = (_excuse(seed, excused), _excuse(hoover, excused))
        out.append(PictureSplits(shown, counted, overlap, *judged, tolerance))
    return tuple(out)


def _excuse(judgement: Judgement, excused: BoolArray) -> Judgement:
    unmatched = judgement.predictions == Outcome.UNMATCHED
    outcomes = np.where(unmatched & excused, Outcome.IGNORED, judgement.predictions)
    return replace(judgement, predictions=outcomes.astype(np.int8))


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Counts over pictures by one rule; they add up, rates are made from the sums.

    Attributes:
        pictures: Judged pictures.
        pictures_over: Of these, the ones with a split object.
        pictures_under: Of these, the ones with a merging prediction.
        truths: Ground truths.
        predictions: Predictions, ignored ones aside.
        correct: Ground truths that one prediction met.
        over: Ground truths that were split.
        under: Predictions that merge.
        merged: Ground truths that were merged.
        split_predictions: Predictions that are parts of a split object.
        fragments: Of ``over``, the ones broken into fragments.
        duplicates: Of ``over``, the ones found more than once.
        missed: Ground truths in none of these.
        noise: Predictions in none of these.
    """

    pictures: int = 0
    pictures_over: int = 0
    pictures_under: int = 0
    truths: int = 0
    predictions: int = 0
    correct: int = 0
    over: int = 0
    under: int = 0
    merged: int = 0
    split_predictions: int = 0
    fragments: int = 0
    duplicates: int = 0
    missed: int = 0
    noise: int = 0

    def __add__(self, other: SplitCounts) -> SplitCounts:
        names = [field.name for field in fields(self)]
        return SplitCounts(**{n: getattr(self, n) + getattr(other, n) for n in names})

    def rates(self) -> dict[str, float | None]:
        """Shares 0..1: of pictures, of ground truths or of predictions; None without any."""
        denominators = {
            "pictures_over": self.pictures,
            "pictures_under": self.pictures,
            "correct": self.truths,
            "over": self.truths,
            "under": self.predictions,
            "merged": self.truths,
            "split_predictions": self.predictions,
            "missed": self.truths,
            "noise": self.predictions,
        }
        return {
            f"{name}_rate": getattr(self, name) / whole if whole else None
            for name, whole in denominators.items()
        }


def count_splits(picture: PictureSplits) -> dict[str, SplitCounts]:
    """Count one picture by rule: ``seed`` and ``hoover``."""
    return {rule: _count(picture, getattr(picture, rule)) for rule in RULES}


def _count(picture: PictureSplits, judgement: Judgement) -> SplitCounts:
    predictions, truth = judgement.predictions, judgement.truth
    duplicates = sum(
        is_duplicate(group, picture.overlap, picture.tolerance) for group in judgement.over
    )
    merged = {j for group in judgement.under for j in group.parts}
    return SplitCounts(
        pictures=1,
        pictures_over=int(bool(judgement.over)),
        pictures_under=int(bool(judgement.under)),
        truths=len(truth),
        predictions=int((predictions != Outcome.IGNORED).sum()),
        correct=int((truth == Outcome.CORRECT).sum()),
        over=len(judgement.over),
        under=len(judgement.under),
        merged=len(merged),
        split_predictions=int(judgement.split_predictions().sum()),
        fragments=len(judgement.over) - duplicates,
        duplicates=duplicates,
        missed=int((truth == Outcome.UNMATCHED).sum()),
        noise=int((predictions == Outcome.UNMATCHED).sum()),
    )
