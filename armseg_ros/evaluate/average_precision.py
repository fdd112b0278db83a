# SPDX-License-Identifier: Apache-2.0
"""Average precision of one class from the tables of a run, on any pictures, with intervals.

On all pictures the figures are those of pycocotools; a test holds them to 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.evaluate.levels import IOU_LEVELS, bit_table
from armseg_ros.evaluate.settings import COCO_MAX_DETECTIONS
from armseg_ros.types import CLASS_NAMES

COLUMNS = ("image_id", "kind", "index", "class_id", "score", "crowd", "found_levels",
           "ignored_levels")  # fmt: skip
RECALLS = np.linspace(0.0, 1.0, 101)  # where COCO reads the curve
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """All recorded predictions of a class on S labelled pictures, by descending score.

    Attributes:
        scores: (D,) float32, 0..1.
        pictures: (D,) place of the picture, 0..S-1.
        found: (D, 10) bool, whether it found a ground truth at each of COCO's IoU thresholds.
        ignored: (D, 10) bool, whether it lies in a crowd and does not count.
        truths: (S,) ground truths of the class in each picture, crowds aside.
    """

    scores: npt.NDArray[np.float32]
    pictures: IntArray
    found: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]
    truths: IntArray

    def average_precision(self, weights: IntArray | None = None) -> FloatArray:
        """Average precision at each of the ten IoU thresholds.

        Args:
            weights: (S,) how often each picture counts; None counts each once.

        Returns:
            (10,) float64, 0..1; NaN where the pictures hold no ground truth.
        """
        if weights is None:
            weights = np.ones(len(self.truths), np.intp)
        truths = int(weights @ self.truths)
        if truths == 0:
            return np.full(len(IOU_LEVELS), np.nan)
        weight: IntArray = weights[self.pictures].astype(np.intp)
        everything = np.cumsum(weight)
        return np.array([
            _area(*self._curve(level, weight, everything), truths)
            for level in range(len(IOU_LEVELS))
        ])  # fmt: skip

    def recall(self) -> FloatArray:
        """Largest recall at each of the ten IoU thresholds: (10,), 0..1; NaN without truth."""
        truths = int(self.truths.sum())
        return self.found.sum(axis=0) / truths if truths else np.full(len(IOU_LEVELS), np.nan)

    def curve(self, level: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.float32]]:
        """Recall, precision and score after each true positive at ``IOU_LEVELS[level]``."""
        weight = np.ones(len(self.scores), np.intp)
        hits, precision = self._curve(level, weight, np.cumsum(weight))
        found = self.scores[self.found[:, level]]
        return hits / max(1, int(self.truths.sum())), precision, found

    def part(self, chosen: npt.NDArray[np.bool_]) -> Ranking:
        """Keep some of the pictures; ``chosen`` is (S,) bool."""
        rows = chosen[self.pictures]
        places = np.cumsum(chosen) - 1
        return Ranking(
            self.scores[rows],
            places[self.pictures[rows]],
            self.found[rows],
            self.ignored[rows],
            self.truths[chosen],
        )

    def _curve(
        self, level: int, weight: IntArray, everything: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """True positives so far and precision at each prediction that is right."""
        right = np.flatnonzero(self.found[:, level])
        hits = np.cumsum(weight[right]).astype(np.float64)
        counted = everything[right]
        if self.ignored[:, level].any():
            counted = counted - np.cumsum(weight * self.ignored[:, level])[right]
        return hits, hits / np.maximum(counted, 1)


def _area(hits: FloatArray, precision: FloatArray, truths: int) -> float:
    """Read the envelope of the curve at 101 recalls."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / truths, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())


def rank(instances: pa.Table, image_ids: npt.NDArray[np.int64], class_id: int) -> Ranking:
    """Rank the recorded predictions of a class.

    Args:
        instances: Rows of ``instances.parquet`` with at least ``COLUMNS``.
        image_ids: (S,) the labelled pictures to look at; others are left out.
        class_id: See ``CLASS_NAMES``.
    """
    assert 0 <= class_id < len(CLASS_NAMES)
    chosen = instances.select(COLUMNS).filter(pc.equal(instances["class_id"], class_id))
    places = places_of(chosen["image_id"].to_numpy(), image_ids)
    chosen, pictures = chosen.filter(pa.array(places >= 0)), places[places >= 0]
    kinds = chosen["kind"]
    is_truth = pc.and_(pc.equal(kinds, "truth"), pc.invert(chosen["crowd"])).to_numpy()
    truths = np.bincount(pictures[is_truth], minlength=len(image_ids))
    shown = pc.equal(kinds, "prediction").to_numpy()
    predictions = chosen.filter(pa.array(shown))
    return _ranked(predictions, pictures[shown], truths)


def places_of(ids: npt.NDArray[np.int64], image_ids: npt.NDArray[np.int64]) -> IntArray:
    """(N,) place of each of ``ids`` among ``image_ids``, which are unique; -1 where it is not."""
    if not len(image_ids):
        return np.full(len(ids), -1, np.intp)
    order = np.argsort(image_ids, kind="stable")
    found = order[np.minimum(np.searchsorted(image_ids[order], ids), len(order) - 1)]
    return np.where(image_ids[found] == ids, found, -1)


def _ranked(predictions: pa.Table, pictures: IntArray, truths: IntArray) -> Ranking:
    scores = predictions["score"].to_numpy().astype(np.float32)
    ids = predictions["image_id"].to_numpy()
    # Pictures by number, best score first, as pycocotools lists them before it sorts.
    order = np.lexsort((predictions["index"].to_numpy(), ids))
    first = np.searchsorted(ids[order], ids[order], side="left")
    order = order[np.arange(len(order)) - first < COCO_MAX_DETECTIONS]
    order = order[np.argsort(-scores[order], kind="mergesort")]
    return Ranking(
        scores=scores[order],
        pictures=pictures[order],
        found=bit_table(predictions["found_levels"].to_numpy()[order]),
        ignored=bit_table(predictions["ignored_levels"].to_numpy()[order]),
        truths=truths,
    )
