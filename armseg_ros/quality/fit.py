# SPDX-License-Identifier: Apache-2.0
"""Fit the flags to a table, and keep the larger model only where it is really better.

Everything is measured on held-out scenes: a model that has seen another frame of the same scene
looks better than it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import DataError
from armseg_ros.evaluate.splits import TOLERANCE
from armseg_ros.quality.classifier import Classifier
from armseg_ros.quality.figures import auroc, average_precision, interval, resamples
from armseg_ros.quality.frames import FRAME_COLUMNS, frame_rows
from armseg_ros.quality.learners import (
    Learner,
    Rows,
    fit_linear,
    fit_trees,
    held_out_margins,
    platt,
)
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.pairs import PAIR_MARGIN, strongest_margin
from armseg_ros.quality.table import QualityTable
from armseg_ros.types import Float32Array

MIN_POSITIVES = 20  # fewer cannot even be calibrated
MIN_SCENES = 10  # or a fold could be left without any
MAX_TREE_ROWS = 20000  # trees see all positives and so many others at most
# One baseline feature each, together: what the full model has to beat.
SIX = ("score", "pair_box_iou", "pair_mask_iomin", "solidity", "relative_area", "stability")
GROUPS = {
    "candidates' boxes": ("cluster_", "children_", "parents_", "inside_"),
    "candidates' masks": ("mask_",),
    "neighbours": ("pair_", "holds_", "held_"),
    "mask logits": ("stability", "unsure_", "logit_", "cropped_", "waist", "valley"),
    "shape and size": ("solidity", "second_part", "parts", "extent", "aspect", "log_area",
                       "relative_area", "at_border"),
    "the picture": ("pair_colour_", "pair_border_", "holds_colour_", "holds_border_",
                    "held_colour_", "held_border_"),
    "score and context": ("score", "kept_count", "tote_coverage"),
}  # fmt: skip
META_DETECT = ("score", "cluster_", "children_", "parents_", "inside_")  # candidates' boxes alone

FloatArray = npt.NDArray[np.float64]

_log = logging.getLogger(__name__)


def fit(table: QualityTable, detectors: Sequence[str] = (), seed: int = 0) -> QualityModel:
    """Fit every target that has enough positives.

    Args:
        table: Pictures that the detector was not trained on.
        detectors: Hashes of further files that hold the same weights, such as a built engine.
        seed: Of folds, trees and the shuffled reference.

    Raises:
        DataError: No target has enough positives.
    """
    groups = np.unique(np.array(table.groups), return_inverse=True)[1]
    deployed = table.variant == 0
    model = QualityModel((table.detector, *detectors), {}, _training(table, seed))
    pairs = Rows(
        table.pairs,
        table.pair_names,
        table.same,
        groups[table.pair_picture],
        deployed[table.pair_picture],
    )
    model, margins = _fit_target(model, "pair", pairs, seed)
    columns, names = _with_pair_margin(table, margins)
    for target in ("over", "under"):
        rows = Rows(
            columns,
            names,
            getattr(table, target),
            groups[table.picture],
            deployed[table.picture],
        )
        model, margins = _fit_target(model, target, rows, seed)
        if margins is not None:
            classifier = model.classifiers[target]
            p = _sigmoid(margins * classifier.slope + classifier.offset)
            frame_table, labels = frame_rows(table, p, rows.labels)
            frames = Rows(frame_table, FRAME_COLUMNS, labels, groups, deployed).take(deployed)
            model = _fit_frame(model, f"frame_{target}", frames, seed)
    if not model.classifiers:
        reasons = "; ".join(f"{target}: {why}" for target, why in model.unfitted.items())
        raise DataError(f"too few errors to fit anything: {reasons}; take more pictures")
    return model


def _with_pair_margin(
    table: QualityTable, margins: FloatArray | None
) -> tuple[Float32Array, tuple[str, ...]]:
    """Add the pair model's held-out log-odds, as ``QualityModel.instance_columns`` does."""
    if margins is None:
        return table.instances, table.names
    strongest = strongest_margin(table.pair_rows, margins, len(table.instances))
    return np.column_stack((table.instances, strongest)), (*table.names, PAIR_MARGIN)


def _fit_target(
    model: QualityModel, target: str, rows: Rows, seed: int
) -> tuple[QualityModel, FloatArray | None]:
    """Add a target, or the reason why not; its held-out log-odds are for the pictures' fit."""
    reason = _too_few(rows)
    if reason:
        return replace(model, unfitted={**model.unfitted, target: reason}), None
    candidates: list[tuple[str, Rows, Learner]] = [
        ("linear", rows, fit_linear),
        ("trees", rows, _trees_on_a_part),
    ]
    if target != "pair":
        candidates.insert(0, ("linear on six", rows.columns(SIX), fit_linear))
    name, chosen, learner, margins, report = _choose(candidates, seed)
    _log.info("%s: %s", target, report[name])
    classifier = _calibrated(learner(chosen, seed), margins, chosen)
    told: dict[str, Any] = {"chosen": name, "held_out": report}
    if target != "pair":
        told["held_out_without"] = _without_groups(rows, seed)
    training = {**model.training, target: told}
    references = model.references
    if target != "pair":
        references = {**references, target: _references(rows, seed)}
    fitted = replace(
        model,
        classifiers={**model.classifiers, target: classifier},
        training=training,
        references=references,
    )
    return fitted, margins


def _too_few(rows: Rows) -> str:
    """Say what is missing for a fit that can be held against other scenes; else empty."""
    labels, groups = rows.labels[rows.deployed], rows.groups[rows.deployed]
    for name, chosen in (("positives", labels), ("negatives", ~labels)):
        scenes = len(np.unique(groups[chosen]))
        if chosen.sum() < MIN_POSITIVES or scenes < MIN_SCENES:
            return (
                f"only {chosen.sum()} {name} in {scenes} scenes of the fitting data, "
                f"{MIN_POSITIVES} in {MIN_SCENES} are needed"
            )
    return ""


def _choose(
    candidates: list[tuple[str, Rows, Learner]], seed: int
) -> tuple[str, Rows, Learner, FloatArray, dict[str, Any]]:
    """Take the next larger model only if it leads beyond the 95 % interval."""
    report: dict[str, Any] = {}
    best: tuple[str, Rows, Learner, FloatArray] | None = None
    for name, rows, learner in candidates:
        margins = held_out_margins(rows, learner, seed)
        used, labels = margins[rows.deployed], rows.labels[rows.deployed]
        report[name] = {
            "auroc": auroc(used, labels),
            "average_precision": average_precision(used, labels),
            "prevalence": float(labels.mean()),
            "positives": int(labels.sum()),
        }
        if best is None or _leads(used, best[3][rows.deployed], rows, seed):
            best = (name, rows, learner, margins)
    assert best is not None
    return *best, report


def _leads(margins: FloatArray, others: FloatArray, rows: Rows, seed: int) -> bool:
    """Whether one of two figures leads beyond its interval, and the other is not behind."""
    labels, groups = rows.labels[rows.deployed], rows.groups[rows.deployed]
    leads: tuple[list[float | None], ...] = ([], [])
    ahead = []
    draws = resamples(groups, seed=seed)
    for figure, found in zip((average_precision, auroc), leads, strict=True):
        for drawn in draws:
            ours, theirs = (figure(s[drawn], labels[drawn]) for s in (margins, others))
            found.append(None if ours is None or theirs is None else ours - theirs)
        ahead.append((figure(margins, labels) or 0) >= (figure(others, labels) or 0))
    spans = [interval(found) for found in leads]
    return all(ahead) and any(span is not None and span[0] > 0 for span in spans)


def _trees_on_a_part(rows: Rows, seed: int) -> Classifier:
    """Fit trees to all positives and a part of the rest; calibration mends the shift."""
    others = np.flatnonzero(~rows.labels)
    if len(others) > MAX_TREE_ROWS:
        others = np.random.default_rng(seed).choice(others, MAX_TREE_ROWS, replace=False)
    keep = rows.labels.copy()
    keep[others] = True
    return fit_trees(rows.take(keep), seed)


def _calibrated(classifier: Classifier, margins: FloatArray, rows: Rows) -> Classifier:
    slope, offset = platt(margins[rows.deployed], rows.labels[rows.deployed])
    return replace(classifier, slope=slope, offset=offset)


def _without_groups(rows: Rows, seed: int) -> dict[str, float | None]:
    """AUROC of the logistic model on held-out scenes, without each group of features."""
    out = {}
    for title, prefixes in GROUPS.items():
        kept = tuple(name for name in rows.names if not name.startswith(prefixes))
        margins = held_out_margins(rows.columns(kept), fit_linear, seed)
        out[title] = auroc(margins[rows.deployed], rows.labels[rows.deployed])
    return out


def _references(rows: Rows, seed: int) -> dict[str, Classifier]:
    """Fit what the model is compared with; the shuffled one must find nothing."""
    meta = tuple(name for name in rows.names if name.startswith(META_DETECT))
    order = np.random.default_rng(seed).permutation(len(rows.labels))
    shuffled = replace(rows, labels=rows.labels[order])
    return {
        "logistic on six": fit_linear(rows.columns(SIX), seed),
        "candidates alone (MetaDetect)": fit_linear(rows.columns(meta), seed),
        "logistic on all": fit_linear(rows, seed),
        "shuffled labels": fit_linear(shuffled, seed),
    }


def _fit_frame(model: QualityModel, target: str, frames: Rows, seed: int) -> QualityModel:
    """Fit the whole picture's probability to held-out ones of its instances."""
    reason = _too_few(frames)
    if reason:
        return replace(model, unfitted={**model.unfitted, target: reason})
    margins = held_out_margins(frames, fit_linear, seed)
    classifier = _calibrated(fit_linear(frames, seed), margins, frames)
    return replace(model, classifiers={**model.classifiers, target: classifier})


def _sigmoid(margins: FloatArray) -> Float32Array:
    return (1 / (1 + np.exp(-np.clip(margins, -40, 40)))).astype(np.float32)


def _training(table: QualityTable, seed: int) -> dict[str, Any]:
    deployed = table.variant == 0
    return {
        "origin": table.origin,
        "thresholds": table.origin.get("thresholds"),
        "pictures": int(deployed.sum()),
        "instances": int(deployed[table.picture].sum()),
        "label_rule": "seed",
        "tolerance": TOLERANCE,
        "seed": seed,
        "scenes": sorted(set(table.groups)),
    }
