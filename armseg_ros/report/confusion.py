# SPDX-License-Identifier: Apache-2.0
"""Confusion of the classes with each other and with background, at the operating threshold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.masks import box_iou
from armseg_ros.types import CLASS_NAMES

COLUMNS = ("image_id", "kind", "class_id", "score", "crowd", "outcome", "matched_score",
           "x_min", "y_min", "x_max", "y_max")  # fmt: skip
LABELS = (*CLASS_NAMES, "background")
BACKGROUND = len(CLASS_NAMES)
BOX_IOU = 0.5
Matrix = npt.NDArray[np.intp]


def confusion_matrix(instances: pa.Table, threshold: float) -> Matrix:
    """Count what was there against what was said.

    Matches within a class are those of the run, at mask IoU 0.5. What is left of both sides is
    matched across classes at box IoU 0.5, best score first; the rest is background.

    Args:
        instances: Rows of ``instances.parquet`` with at least ``COLUMNS``.
        threshold: Operating threshold; a score counts if above.

    Returns:
        (3, 3); element (i, j) counts class i of the ground truth that was called j; the last row
        and column are background. Unlabelled pictures and crowds do not count.
    """
    kinds, outcomes = instances["kind"], instances["outcome"]
    shown = pc.and_(pc.equal(kinds, "prediction"), pc.greater(instances["score"], threshold))
    truth = pc.and_(pc.equal(kinds, "truth"), pc.invert(instances["crowd"]))
    hit = instances.filter(pc.and_(shown, pc.equal(outcomes, "true_positive")))
    wrong = instances.filter(pc.and_(shown, pc.equal(outcomes, "false_positive")))
    unseen = pc.fill_null(pc.less_equal(instances["matched_score"], threshold), True)
    missed = instances.filter(pc.and_(truth, unseen))
    matrix = np.zeros((len(LABELS), len(LABELS)), np.intp)
    diagonal = np.bincount(hit["class_id"].to_numpy(), minlength=BACKGROUND)
    matrix[np.arange(BACKGROUND), np.arange(BACKGROUND)] = diagonal
    matrix[BACKGROUND, :BACKGROUND] = np.bincount(wrong["class_id"].to_numpy(), minlength=2)
    matrix[:BACKGROUND, BACKGROUND] = np.bincount(missed["class_id"].to_numpy(), minlength=2)
    for said, was in _mixed_up(wrong, missed):
        matrix[was, said] += 1
        matrix[BACKGROUND, said] -= 1
        matrix[was, BACKGROUND] -= 1
    return matrix


def _mixed_up(wrong: pa.Table, missed: pa.Table) -> list[tuple[int, int]]:
    """Pairs of the class said and the class that was there."""
    out: list[tuple[int, int]] = []
    wrong_ids, missed_ids = wrong["image_id"].to_numpy(), missed["image_id"].to_numpy()
    boxes = [_boxes(wrong), _boxes(missed)]
    classes = [wrong["class_id"].to_numpy(), missed["class_id"].to_numpy()]
    order = [np.argsort(ids, kind="stable") for ids in (wrong_ids, missed_ids)]
    for image_id in np.intersect1d(wrong_ids, missed_ids):
        said, was = (
            rows[slice(*np.searchsorted(ids[rows], [image_id, image_id + 1]))]
            for rows, ids in zip(order, (wrong_ids, missed_ids), strict=True)
        )
        iou = box_iou(boxes[0][said], boxes[1][was])
        iou[classes[0][said][:, None] == classes[1][was][None, :]] = 0.0
        for row in np.flatnonzero(iou.max(axis=1) >= BOX_IOU):  # predictions by descending score
            best = int(iou[row].argmax())
            if iou[row, best] >= BOX_IOU:
                out.append((int(classes[0][said[row]]), int(classes[1][was[best]])))
                iou[:, best] = 0.0
    return out


def _boxes(rows: pa.Table) -> npt.NDArray[np.float32]:
    sides = ("x_min", "y_min", "x_max", "y_max")
    return np.column_stack([rows[side].to_numpy() for side in sides]).astype(np.float32)
