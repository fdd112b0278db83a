# SPDX-License-Identifier: Apache-2.0
"""The sheet of a quality model on pictures it was not fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import DataError
from armseg_ros.quality import figures
from armseg_ros.quality.frames import FRAME_COLUMNS, frame_rows
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.table import QualityTable
from armseg_ros.types import BoolArray, Float32Array

FALSE_ALARMS = (0.05, 0.1, 0.5)  # per picture
# One feature each, with the sign that makes more suspicious higher.
SIMPLE = {
    "low score": ("score", -1),
    "box IoU with a neighbour": ("pair_box_iou", 1),
    "mask inside a neighbour": ("pair_mask_iomin", 1),
    "low solidity": ("solidity", -1),
    "area by the median": ("relative_area", 1),
    "low stability": ("stability", -1),
}
LARGEST = "largest of the instances"  # what the flag of a picture has to beat
HARD = ("pair_touch", "pair_mask_iomin", "children_count", "parents_count")


def check(model: QualityModel, table: QualityTable) -> dict[str, Any]:
    """Measure a model on a table; only rows of the deployed thresholds count.

    Returns:
        By target (``over``, ``under``): ``instance``, ``hard`` (instances that touch or overlap a
        neighbour, or that have a part or a whole among the candidates) and ``frame``; a target
        that was not fitted has its reason alone.

    Raises:
        DataError: The table was made with a detector that the model does not know.
    """
    if table.detector not in model.detectors:
        raise DataError(
            f"the pictures were segmented by detector {table.detector[:12]}, but the quality model "
            f"was fitted to {', '.join(sha[:12] for sha in model.detectors)}"
        )
    deployed = table.variant == 0
    seen = set(model.training.get("scenes", ())) & set(table.groups)
    sheet: dict[str, Any] = {
        "detector": table.detector,
        "pictures": int(deployed.sum()),
        "scenes": len(set(table.groups)),
        "scenes_seen_in_fitting": len(seen),
        "training": {k: v for k, v in model.training.items() if k != "scenes"},
    }
    for target in ("over", "under"):
        if target in model.classifiers:
            sheet[target] = _target(model, table, target, deployed)
        else:
            sheet[target] = {"unfitted": model.unfitted.get(target, "not in the model")}
    return sheet


def _target(
    model: QualityModel, table: QualityTable, target: str, deployed: BoolArray
) -> dict[str, Any]:
    rows = deployed[table.picture]
    columns, names = model.instance_columns(
        table.instances, table.names, (table.pair_rows, table.pairs)
    )
    p = model.classifiers[target].probability(columns, names)
    labels = getattr(table, target)
    _, scenes = np.unique(np.array(table.groups), return_inverse=True)
    groups = scenes[table.picture]
    rivals = _rivals(model, target, columns, names)
    hard = rows & (columns[:, [names.index(name) for name in HARD]] > 0).any(axis=1)
    pictures = int(deployed.sum())
    out = {
        level: block(
            p[chosen],
            labels[chosen],
            groups[chosen],
            pictures,
            {name: values[chosen] for name, values in rivals.items()},
        )
        for level, chosen in (("instance", rows), ("hard", hard))
    }
    if f"frame_{target}" in model.classifiers:
        frames, frame_labels = frame_rows(table, p, labels)
        whole = model.classifiers[f"frame_{target}"].probability(frames[deployed], FRAME_COLUMNS)
        largest = {LARGEST: frames[deployed, 0]}
        out["frame"] = block(whole, frame_labels[deployed], scenes[deployed], pictures, largest)
    return out


def _rivals(
    model: QualityModel, target: str, instances: Float32Array, names: tuple[str, ...]
) -> dict[str, Float32Array]:
    simple = {
        name: instances[:, names.index(column)] * sign for name, (column, sign) in SIMPLE.items()
    }
    fitted = {
        name: classifier.probability(instances, names)
        for name, classifier in model.references.get(target, {}).items()
    }
    return simple | fitted


def block(
    p: Float32Array,
    labels: BoolArray,
    groups: npt.NDArray[np.intp],
    pictures: int,
    rivals: dict[str, Float32Array],
) -> dict[str, Any]:
    """Every figure of one probability, and the rivals on the same rows."""
    draws = figures.resamples(groups)
    precision = [figures.average_precision(p[rows], labels[rows]) for rows in draws]
    ranking = [figures.auroc(p[rows], labels[rows]) for rows in draws]
    return {
        "rows": len(p),
        "positives": int(labels.sum()),
        "prevalence": float(labels.mean()) if len(p) else None,
        "auroc": figures.auroc(p, labels),
        "auroc_interval": figures.interval(ranking),
        "average_precision": figures.average_precision(p, labels),
        "average_precision_interval": figures.interval(precision),
        "false_positive_rate_at_95": figures.false_positive_rate_at(p, labels),
        "recall_at_false_alarms": {
            str(rate): figures.recall_at_false_alarms(p, labels, pictures, rate)
            for rate in FALSE_ALARMS
        },
        "calibration_error": figures.calibration_error(p, labels),
        "brier_skill": figures.brier_skill(p, labels),
        "risk_coverage_area": figures.risk_coverage_area(p, labels),
        "generalized_risk_coverage_area": figures.generalized_risk_coverage_area(p, labels),
        "reliability": figures.reliability(p, labels) if len(p) else [],
        "compared": {
            name: _compare(values, labels, draws, precision) for name, values in rivals.items()
        },
    }


def _compare(
    rival: Float32Array,
    labels: BoolArray,
    draws: list[npt.NDArray[np.intp]],
    precision: list[float | None],
) -> dict[str, Any]:
    """Figures of a rival, and by how much the model leads in average precision (95 %)."""
    others = [figures.average_precision(rival[rows], labels[rows]) for rows in draws]
    leads = [
        None if ours is None or theirs is None else ours - theirs
        for ours, theirs in zip(precision, others, strict=True)
    ]
    return {
        "auroc": figures.auroc(rival, labels),
        "average_precision": figures.average_precision(rival, labels),
        "lead_interval": figures.interval(leads),
    }
