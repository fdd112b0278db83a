# SPDX-License-Identifier: Apache-2.0
"""Figures of a run on any choice of its pictures, so that they can be drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.evaluate.average_precision import COLUMNS, Ranking, places_of, rank
from armseg_ros.evaluate.read_run import Run
from armseg_ros.quality.figures import interval
from armseg_ros.types import CLASS_NAMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
RULES = ("hoover", "seed")
# Average precision: class, and which of the ten IoU thresholds.
PRECISIONS = {
    "object_mask_ap": ("Object", slice(None)),
    "object_mask_ap50": ("Object", slice(0, 1)),
    "object_mask_ap75": ("Object", slice(5, 6)),
    "tote_mask_ap": ("Tote", slice(None)),
}
# Objects at the operating point: one sum over the pictures by another.
RATIOS = {
    "precision": ("found", "counted"),
    "recall": ("found", "objects"),
    "f1": ("twice_found", "found_and_wrong"),
    **{
        f"{rule}_{name}_rate": (f"{rule}_{name}", f"{rule}_{whole}")
        for rule in RULES
        for name, whole in (
            ("over", "truths"), ("merged", "truths"), ("missed", "truths"),
            ("under", "predictions"), ("noise", "predictions"),
        )
    },
}  # fmt: skip
MEASURES = (*PRECISIONS, *RATIOS)
MOST_DRAWS, FEWEST_DRAWS = 1000, 60
MOST_PICTURES = 1000  # of a bootstrap for intervals; more would not change them visibly
DRAW_COST = 2e8  # predictions and true positives looked at in all draws; a minute of one core


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What figures on S labelled pictures are made from.

    Attributes:
        sample_ids: Names of the pictures.
        sums: By name, (S,) a count in each picture.
        rankings: By class, its predictions.
    """

    sample_ids: tuple[str, ...]
    sums: dict[str, FloatArray]
    rankings: dict[str, Ranking]

    def values(
        self, weights: IntArray | None = None, names: Sequence[str] = MEASURES
    ) -> dict[str, float]:
        """Compute figures, 0..1; NaN where nothing defines one.

        Args:
            weights: (S,) how often each picture counts; None counts each once.
            names: Which figures.
        """
        levels = {
            kind: ranking.average_precision(weights)
            for kind, ranking in self.rankings.items()
            if any(name in PRECISIONS and PRECISIONS[name][0] == kind for name in names)
        }
        out = {}
        for name in names:
            if name in PRECISIONS:
                kind, chosen = PRECISIONS[name]
                out[name] = float(levels[kind][chosen].mean())
            else:
                above, below = (self._total(part, weights) for part in RATIOS[name])
                out[name] = above / below if below else float("nan")
        return out

    def errors(self) -> FloatArray:
        """(S,) error of each picture, 1 - 2 TP / (2 TP + FP + missed); 0 where nothing was."""
        whole = self.sums["found_and_wrong"]
        f1 = np.divide(self.sums["twice_found"], whole, out=np.ones(len(whole)), where=whole > 0)
        return 1.0 - f1

    def draws(self) -> int:
        """How many bootstrap draws are affordable: fewer the more predictions there are."""
        size = sum(len(r.scores) + int(r.found.sum()) for r in self.rankings.values())
        return int(np.clip(DRAW_COST / max(1, size), FEWEST_DRAWS, MOST_DRAWS))

    def part(self, chosen: npt.NDArray[np.bool_]) -> Measured:
        """Keep some of the pictures."""
        return Measured(
            tuple(np.array(self.sample_ids, object)[chosen]),
            {name: values[chosen] for name, values in self.sums.items()},
            {name: ranking.part(chosen) for name, ranking in self.rankings.items()},
        )

    def _total(self, name: str, weights: IntArray | None) -> float:
        values = self.sums[name]
        return float(values.sum() if weights is None else weights @ values)


def measure(run: Run, sample_ids: Sequence[str] | None = None) -> Measured:
    """Prepare the labelled and answered pictures of a run.

    Args:
        run: The run.
        sample_ids: Which of them, in this order; None takes all.
    """
    columns = ["sample_id", "image_id", "objects_true_positives", "objects_false_positives",
               "objects_missed", "objects_truth"]  # fmt: skip
    labelled = pc.and_(run.samples["labelled"], pc.equal(run.samples["status"], "answered"))
    samples = run.samples.select(columns).filter(labelled)
    if sample_ids is not None:
        row = {name: index for index, name in enumerate(samples["sample_id"].to_pylist())}
        samples = samples.take(pa.array([row[name] for name in sample_ids], pa.int64()))
    ids = samples["image_id"].to_numpy()
    outcomes = [f"{rule}_outcome" for rule in RULES]
    instances = run.read_instances([*COLUMNS, *outcomes], compact=True)
    found, wrong, missed, objects = (
        samples[name].to_numpy().astype(np.float64) for name in columns[2:]
    )
    sums = {
        "found": found,
        "counted": found + wrong,
        "objects": objects,
        "twice_found": 2 * found,
        "found_and_wrong": 2 * found + wrong + missed,
    }
    for rule in RULES:
        sums |= _outcome_sums(instances, ids, rule)
    rankings = {name: rank(instances, ids, number) for number, name in enumerate(CLASS_NAMES)}
    return Measured(tuple(samples["sample_id"].to_pylist()), sums, rankings)


def _outcome_sums(
    instances: pa.Table, ids: npt.NDArray[np.int64], rule: str
) -> dict[str, FloatArray]:
    """Count outcomes by picture: of ground truths, and of predictions at the operating point."""
    judged = instances.select(["image_id", "kind", f"{rule}_outcome"]).filter(
        pc.is_valid(instances[f"{rule}_outcome"])
    )
    places = places_of(judged["image_id"].to_numpy(), ids)
    is_truth = pc.equal(judged["kind"], "truth").to_numpy()
    outcome = judged[f"{rule}_outcome"]

    def count(rows: npt.NDArray[np.bool_]) -> FloatArray:
        return np.bincount(places[rows & (places >= 0)], minlength=len(ids)).astype(np.float64)

    said = {
        word: pc.equal(outcome, word).to_numpy()
        for word in ("over", "under", "missed", "noise", "ignored")
    }
    return {
        f"{rule}_truths": count(is_truth),
        f"{rule}_predictions": count(~is_truth & ~said["ignored"]),
        f"{rule}_over": count(is_truth & said["over"]),
        f"{rule}_merged": count(is_truth & said["under"]),
        f"{rule}_missed": count(is_truth & said["missed"]),
        f"{rule}_under": count(~is_truth & said["under"]),
        f"{rule}_noise": count(~is_truth & said["noise"]),
    }


Interval = tuple[float, float] | None


def intervals(
    measured: Measured,
    names: Sequence[str] = MEASURES,
    *,
    most_draws: int = MOST_DRAWS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give 95 % bootstrap intervals that draw whole pictures.

    None where most draws say nothing, and of one picture, whose draws are all alike.
    From more than ``MOST_PICTURES`` so many are drawn by chance, and the interval is narrowed by
    the root of their share (m out of n bootstrap; Bickel, Götze and van Zwet, 1997).
    """
    rng = np.random.default_rng(seed)
    whole, part = measured.values(names=names), measured
    size = len(measured.sample_ids)
    narrower = min(1.0, np.sqrt(MOST_PICTURES / max(1, size)))
    if size > MOST_PICTURES:
        chosen = np.zeros(size, np.bool_)
        chosen[rng.choice(size, MOST_PICTURES, replace=False)] = True
        part, size = measured.part(chosen), MOST_PICTURES
    centre = part.values(names=names)
    drawn: dict[str, list[float | None]] = {name: [] for name in names}
    for _ in range(min(most_draws, part.draws()) if size > 1 else 0):
        weights = np.bincount(rng.integers(0, size, size), minlength=size)
        for name, value in part.values(weights, names).items():
            moved = whole[name] + narrower * (value - centre[name])
            drawn[name].append(None if np.isnan(moved) else float(moved))
    return {name: interval(values) for name, values in drawn.items()}
