# SPDX-License-Identifier: Apache-2.0
"""Average precision, by pycocotools itself."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from armseg_ros.data.coco import CATEGORY_ID_OF_CLASS
from armseg_ros.types import CLASS_NAMES

IouType = Literal["segm", "bbox"]
IOU_TYPE_NAMES: dict[IouType, str] = {"segm": "mask", "bbox": "box"}
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
    """Matches predictions with ground truth once, then gives figures for any class and pictures."""

    def __init__(
        self, truth: dict[str, Any], predictions: Sequence[dict[str, Any]], iou_type: IouType
    ) -> None:
        """Match.

        Args:
            truth: COCO document.
            predictions: COCO results on pictures of ``truth``; may be empty.
            iou_type: ``segm`` compares masks, ``bbox`` boxes.
        """
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress on stdout
            reference = _index(copy.copy(truth))
            results = _load_results(reference, predictions)
            self._eval = COCOeval(reference, results, iou_type)
            self._eval.params.areaRng = _ALL_AREAS
            self._eval.params.areaRngLbl = ["all"]
            self._eval.evaluate()
        self._category_ids = list(self._eval.params.catIds)
        self._image_ids = [int(i) for i in self._eval.params.imgIds]
        self._precision, self._recall = self._accumulate(self._eval)

    def figures(self, class_id: int | None = None) -> Figures:
        """Give the figures of one class, or the mean over the classes that have ground truth."""
        return self._figures(self._precision, self._recall, class_id)

    def figures_on(self, image_ids: Iterable[int], class_id: int) -> Figures:
        """Give the figures of one class on some of the pictures."""
        wanted = set(image_ids)
        chosen = [n for n, image_id in enumerate(self._image_ids) if image_id in wanted]
        part = copy.copy(self._eval)
        count = len(self._image_ids)
        # pycocotools keeps its matches as one list: classes outermost, then areas, then pictures.
        part.evalImgs = [
            self._eval.evalImgs[k * count + n]
            for k in range(len(self._category_ids))
            for n in chosen
        ]
        part.params = copy.copy(self._eval.params)
        part.params.imgIds = [self._image_ids[n] for n in chosen]
        part._paramsEval = part.params
        return self._figures(*self._accumulate(part), class_id)

    @staticmethod
    def _accumulate(evaluation: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        # Last axes: area "all" and the largest of COCO's limits 1, 10, 100 detections.
        return evaluation.eval["precision"][..., 0, -1], evaluation.eval["recall"][..., 0, -1]

    def _figures(
        self,
        precision: npt.NDArray[np.float64],
        recall: npt.NDArray[np.float64],
        class_id: int | None,
    ) -> Figures:
        if class_id is not None:
            column = self._category_ids.index(CATEGORY_ID_OF_CLASS[class_id])
            precision, recall = precision[..., column], recall[..., column]
        return Figures(
            ap=_mean(precision),
            ap50=_mean(precision[_IOU_50]),
            ap75=_mean(precision[_IOU_75]),
            ar=_mean(recall),
        )


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    """Average what is defined; pycocotools marks classes without ground truth with -1."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None


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


def all_figures(
    truth: dict[str, Any], predictions: Sequence[dict[str, Any]]
) -> tuple[dict[str, dict[str, Figures]], CocoScorer]:
    """Score masks and boxes.

    Returns:
        Figures by ``mask`` or ``box`` and then by class name (Object first) or ``mean``, and the
        scorer of the masks for figures on parts of the pictures.
    """
    scorers = {kind: CocoScorer(truth, predictions, kind) for kind in IOU_TYPE_NAMES}
    table = {
        IOU_TYPE_NAMES[kind]: {
            **{name: scorer.figures(class_id) for class_id, name in enumerate(CLASS_NAMES)},
            "mean": scorer.figures(),
        }
        for kind, scorer in scorers.items()
    }
    return table, scorers["segm"]
