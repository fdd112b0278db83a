# SPDX-License-Identifier: Apache-2.0
"""Average precision: pycocotools matches, picture by picture, and its formula makes the figures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from armseg_ros.data.coco import CATEGORY_ID_OF_CLASS
from armseg_ros.evaluate.coco_matches import ClassMatches, from_evaluated, join
from armseg_ros.types import CLASS_NAMES

IouType = Literal["segm", "bbox"]
_ALL_AREAS = [[0.0, 1e10]]  # COCO's small, medium and large are of no use at 2448x2048 pixels
_IOU_50, _IOU_75 = 0, 5  # positions in COCO's thresholds 0.50, 0.55, ... 0.95


@dataclass(frozen=True, slots=True)
class Figures:
    """COCO figures over IoU 0.50 to 0.95 and at most 100 detections; None without any truth.

    Attributes:
        ap: Average precision over all ten thresholds, 0..1.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        ar: Average recall over all ten thresholds, 0..1.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None


class CocoScorer:
    """Matches predictions with ground truth, then gives figures for any class and pictures."""

    def __init__(self, iou_type: IouType) -> None:
        """Start with no picture; ``segm`` compares masks, ``bbox`` boxes."""
        self._iou_type = iou_type
        self._parts: dict[int, list[ClassMatches]] = {k: [] for k in range(len(CLASS_NAMES))}

    def add(self, truth: dict[str, Any], predictions: Sequence[dict[str, Any]]) -> None:
        """Match some pictures; afterwards a few bytes a prediction are kept.

        Args:
            truth: COCO document of pictures that were not added before.
            predictions: COCO results on these pictures; may be empty.
        """
        if not truth["images"]:
            return
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress on stdout
            reference = _index(truth)
            evaluation = COCOeval(reference, _load_results(reference, predictions), self._iou_type)
            evaluation.params.areaRng = _ALL_AREAS
            evaluation.params.areaRngLbl = ["all"]
            evaluation.evaluate()
        image_ids = [int(i) for i in evaluation.params.imgIds]
        # pycocotools keeps its matches as one list: classes outermost, then areas, then pictures.
        for class_id, category in enumerate(CATEGORY_ID_OF_CLASS):
            first = list(evaluation.params.catIds).index(category) * len(image_ids)
            records = evaluation.evalImgs[first : first + len(image_ids)]
            self._parts[class_id].append(from_evaluated(records, image_ids))

    def matches(self, class_id: int) -> ClassMatches:
        """Give the matches of one class so far."""
        joined = join(self._parts[class_id])
        self._parts[class_id] = [joined]
        return joined

    def take(self, class_id: int, matches: ClassMatches) -> None:
        """Add matches that another scorer made of other pictures."""
        self._parts[class_id].append(matches)

    def figures(self, class_id: int | None = None) -> Figures:
        """Give the figures of one class, or the mean over the classes that have ground truth."""
        classes = self._parts if class_id is None else [class_id]
        return figures_of([self.matches(k) for k in classes])

    def figures_on(self, image_ids: Iterable[int], class_id: int) -> Figures:
        """Give the figures of one class on some of the pictures."""
        chosen = np.array(list(image_ids), np.int64)
        return figures_of([self.matches(class_id).on(chosen)])


def figures_of(classes: Sequence[ClassMatches]) -> Figures:
    """Average over classes; those without ground truth say nothing."""
    rankings = [matches.ranking() for matches in classes if matches.truths.any()]
    if not rankings:
        return Figures(None, None, None, None)
    precision = np.stack([ranking.average_precision() for ranking in rankings])
    recall = np.stack([ranking.recall() for ranking in rankings])
    return Figures(
        ap=float(precision.mean()),
        ap50=float(precision[:, _IOU_50].mean()),
        ap75=float(precision[:, _IOU_75].mean()),
        ar=float(recall.mean()),
    )


def _index(document: dict[str, Any]) -> Any:
    reference = COCO()
    reference.dataset = document
    reference.createIndex()
    return reference


def _load_results(reference: Any, predictions: Sequence[dict[str, Any]]) -> Any:
    """Load results as pycocotools does, which fails on an empty list."""
    if predictions:
        return reference.loadRes([dict(record) for record in predictions])
    return _index({**reference.dataset, "annotations": []})


class MaskAndBoxScorer:
    """Scores masks and boxes of the same pictures.

    Attributes:
        mask: Of the masks.
        box: Of the boxes.
        pictures: How many were added.
        instances: Their ground truths, crowds included.
    """

    def __init__(self) -> None:
        self.mask, self.box = CocoScorer("segm"), CocoScorer("bbox")
        self.pictures = self.instances = 0

    def add(self, truth: dict[str, Any], predictions: Sequence[dict[str, Any]]) -> None:
        """Match some pictures, see ``CocoScorer.add``."""
        self.mask.add(truth, predictions)
        self.box.add(truth, predictions)
        self.pictures += len(truth["images"])
        self.instances += len(truth["annotations"])

    def save(self, path: Path) -> None:
        """Write the matches as ``.npz``."""
        arrays = {
            f"{kind}_{class_id}_{column.name}": getattr(scorer.matches(class_id), column.name)
            for kind, scorer in self._kinds()
            for class_id in range(len(CLASS_NAMES))
            for column in fields(ClassMatches)
        }
        np.savez_compressed(path, counts=[self.pictures, self.instances], **arrays)

    def take(self, path: Path, numbers: dict[int, int]) -> None:
        """Add what another scorer saved; ``numbers`` are the new numbers of its pictures."""
        with np.load(path, allow_pickle=False) as stored:
            for kind, scorer in self._kinds():
                for class_id in range(len(CLASS_NAMES)):
                    columns = {
                        column.name: stored[f"{kind}_{class_id}_{column.name}"]
                        for column in fields(ClassMatches)
                    }
                    scorer.take(class_id, ClassMatches(**columns).renumbered(numbers))
            pictures, instances = stored["counts"].tolist()
        self.pictures += pictures
        self.instances += instances

    def _kinds(self) -> tuple[tuple[str, CocoScorer], ...]:
        return ("mask", self.mask), ("box", self.box)

    def figures(self) -> dict[str, dict[str, Figures]]:
        """Give figures by ``mask`` or ``box`` and then by class name (Object first) or ``mean``."""
        return {
            kind: {
                **{name: scorer.figures(class_id) for class_id, name in enumerate(CLASS_NAMES)},
                "mean": scorer.figures(),
            }
            for kind, scorer in self._kinds()
        }
