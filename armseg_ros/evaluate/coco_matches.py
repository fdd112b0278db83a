# SPDX-License-Identifier: Apache-2.0
"""What pycocotools says of single pictures, kept so small that any number of them fits in memory.

Whether a prediction met a ground truth is decided within its picture, so pictures can be matched
in any portions; only the curve over all of them is made at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.average_precision import Ranking
from armseg_ros.evaluate.levels import IOU_LEVELS, bit_table

_BITS = (1 << np.arange(len(IOU_LEVELS))).astype(np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class ClassMatches:
    """Matches of one class over I pictures with D predictions, ordered by picture number.

    Attributes:
        scores: (D,) float64, 0..1; within a picture descending.
        images: (D,) int64 number of the picture of each.
        matched: (D,) uint16, bit n set where it met a ground truth at ``IOU_LEVELS[n]``.
        ignored: (D,) uint16, bit n set where it counts neither as right nor as wrong.
        image_ids: (I,) int64 numbers of all pictures, rising.
        truths: (I,) int64 ground truths of each that count.
    """

    scores: npt.NDArray[np.float64]
    images: npt.NDArray[np.int64]
    matched: npt.NDArray[np.uint16]
    ignored: npt.NDArray[np.uint16]
    image_ids: npt.NDArray[np.int64]
    truths: npt.NDArray[np.int64]

    def on(self, image_ids: npt.NDArray[np.int64]) -> ClassMatches:
        """Keep some pictures."""
        rows, pictures = np.isin(self.images, image_ids), np.isin(self.image_ids, image_ids)
        return ClassMatches(
            scores=self.scores[rows],
            images=self.images[rows],
            matched=self.matched[rows],
            ignored=self.ignored[rows],
            image_ids=self.image_ids[pictures],
            truths=self.truths[pictures],
        )

    def renumbered(self, numbers: dict[int, int]) -> ClassMatches:
        """Give the pictures other numbers, in the same order."""
        images = np.array([numbers[i] for i in self.images.tolist()], np.int64)
        image_ids = np.array([numbers[i] for i in self.image_ids.tolist()], np.int64)
        return replace(self, images=images, image_ids=image_ids)

    def ranking(self) -> Ranking:
        """Order the predictions of all pictures by score; ties by picture, as pycocotools does."""
        order = np.argsort(-self.scores, kind="mergesort")
        return Ranking(
            scores=self.scores[order].astype(np.float32),
            pictures=np.searchsorted(self.image_ids, self.images[order]),
            found=bit_table(self.matched[order]),
            ignored=bit_table(self.ignored[order]),
            truths=self.truths,
        )


def from_evaluated(
    records: Sequence[dict[str, Any] | None], image_ids: Sequence[int]
) -> ClassMatches:
    """Read one class of ``COCOeval.evalImgs``, one record or None for each picture."""
    found = [record for record in records if record is not None]
    per_picture = {record["image_id"]: ~np.asarray(record["gtIgnore"], bool) for record in found}
    counts = [int(per_picture[i].sum()) if i in per_picture else 0 for i in image_ids]
    sizes = [len(record["dtScores"]) for record in found]
    ignored = _pack([np.asarray(record["dtIgnore"]) > 0 for record in found])
    matched = _pack([np.asarray(record["dtMatches"]) > 0 for record in found])
    return ClassMatches(
        scores=np.concatenate([[], *(record["dtScores"] for record in found)]),
        images=np.repeat(np.array([r["image_id"] for r in found], np.int64), sizes),
        matched=matched & ~ignored,  # a match with a crowd is none
        ignored=ignored,
        image_ids=np.array(image_ids, np.int64),
        truths=np.array(counts, np.int64),
    )


def _pack(parts: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.uint16]:
    """Turn (10, d) tables into one bit mask a column."""
    columns = [part.reshape(len(IOU_LEVELS), -1).T @ _BITS for part in parts]
    return np.concatenate([np.zeros(0, np.uint16), *columns]).astype(np.uint16)


def join(parts: Sequence[ClassMatches]) -> ClassMatches:
    """Put portions together; their pictures must differ."""
    if not parts:
        none, nobody = np.zeros(0, np.uint16), np.zeros(0, np.int64)
        return ClassMatches(np.zeros(0), nobody, none, none, nobody, nobody)
    images = np.concatenate([part.images for part in parts])
    image_ids = np.concatenate([part.image_ids for part in parts])
    rows, pictures = (np.argsort(ids, kind="stable") for ids in (images, image_ids))
    return ClassMatches(
        scores=np.concatenate([part.scores for part in parts])[rows],
        images=images[rows],
        matched=np.concatenate([part.matched for part in parts])[rows],
        ignored=np.concatenate([part.ignored for part in parts])[rows],
        image_ids=image_ids[pictures],
        truths=np.concatenate([part.truths for part in parts])[pictures],
    )
