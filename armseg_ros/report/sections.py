# SPDX-License-Identifier: Apache-2.0
"""What the overview of a run says: figures and charts, nothing of how they look.

Each function gives one section, or None where the run has nothing to say about it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.evaluate.measures import Interval, Measured
from armseg_ros.evaluate.read_run import Run
from armseg_ros.quality.check import LARGEST, SIMPLE
from armseg_ros.quality.sheet import LEVELS
from armseg_ros.report import charts
from armseg_ros.report.confusion import LABELS, confusion_matrix
from armseg_ros.report.curves import (
    LOWEST_SCORE,
    THRESHOLDS,
    Calibration,
    calibrate,
    precision_recall,
    threshold_curve,
)

Section = dict[str, Any]
TARGETS = ("over", "under")
SCATTER_POINTS = 3000  # drawn by chance from longer runs
# Title, name of the measure, what it is.
TILES = (
    ("Mask AP", "object_mask_ap", "IoU 0.50 to 0.95"),
    ("AP50", "object_mask_ap50", "mask IoU 0.50"),
    ("AP75", "object_mask_ap75", "mask IoU 0.75"),
    ("Precision", "precision", "at the operating threshold"),
    ("Recall", "recall", "at the operating threshold"),
    ("Split", "hoover_over_rate", "share of objects, Hoover"),
    ("Merged", "hoover_merged_rate", "share of objects, Hoover"),
)
FATES = (
    ("correct", "objects that one prediction met", "truths"),
    ("over", "objects split or found twice", "truths"),
    ("merged", "objects merged with others", "truths"),
    ("missed", "objects in none of these", "truths"),
    ("under", "predictions that merge objects", "predictions"),
    ("noise", "predictions in none of these", "predictions"),
)


def headline(measured: Measured, intervals: dict[str, Interval]) -> Section | None:
    """Tiles with the figures that matter most; None without ground truth."""
    if not measured.sample_ids:
        return None
    values = measured.values()
    tiles = [
        {"title": title, "value": values[name], "interval": intervals[name], "note": note}
        for title, name, note in TILES
    ]
    return {"tiles": tiles, "pictures": len(measured.sample_ids),
            "objects": int(measured.sums["objects"].sum())}  # fmt: skip


def curves(run: Run, measured: Measured) -> Section | None:
    """Precision-recall, figures over the threshold, and calibration of the score."""
    objects = measured.rankings["Object"]
    curve = threshold_curve(objects)
    if curve is None:
        return None
    colors = (charts.BLUE, charts.VIOLET, charts.GREEN)
    lines = (("Object, IoU 0.50", objects, 0), ("Object, IoU 0.75", objects, 5),
             ("Tote, IoU 0.50", measured.rankings["Tote"], 0))  # fmt: skip
    drawn = [
        (name, precision_recall(ranking, level), color)
        for (name, ranking, level), color in zip(lines, colors, strict=True)
        if ranking.found[:, level].any()
    ]
    operating = float(run.summary["settings"]["operating_threshold"])
    calibration = calibrate(objects)
    return {
        "precision_recall": charts.precision_recall_chart(drawn) if drawn else None,
        "threshold": charts.threshold_chart(curve, operating),
        "best": curve.best,
        "best_f1": float(curve.f1.max()),
        "operating": operating,
        "operating_f1": float(np.interp(operating, THRESHOLDS, curve.f1)),
        "counts": {
            "thresholds": charts.numbers(THRESHOLDS, 3),
            "found": curve.found.tolist(),
            "wrong": curve.wrong.tolist(),
            "missed": curve.missed.tolist(),
        },
        "calibration": charts.calibration_chart({"Object": calibration}) if calibration else None,
        "calibration_error": calibration.error if calibration else None,
    }


def scatter(instances: pa.Table) -> Section | None:
    """Score against mask IoU of a sample of the recorded objects."""
    known = pc.and_(pc.equal(instances["class_id"], 0), pc.equal(instances["kind"], "prediction"))
    rows = instances.filter(pc.and_(known, pc.is_in(
        instances["outcome"], pa.array(["true_positive", "false_positive"]))))  # fmt: skip
    rows = rows.filter(pc.greater(rows["score"], LOWEST_SCORE))
    total = len(rows)
    if not total:
        return None
    if total > SCATTER_POINTS:
        chosen = np.random.default_rng(0).choice(total, SCATTER_POINTS, replace=False)
        rows = rows.take(pa.array(np.sort(chosen)))
    right = pc.equal(rows["outcome"], "true_positive").to_numpy().astype(bool)
    chart = charts.scatter_chart(rows["score"].to_numpy(), rows["best_iou"].to_numpy(), right)
    return {"chart": chart, "shown": len(rows), "total": total}


def splits(run: Run) -> Section | None:
    """Over- and under-segmentation by both rules, and over the tolerance."""
    summary = run.summary.get("splits")
    if not summary:
        return None
    rows = [
        {
            "name": name,
            "meaning": meaning,
            "whole": whole,
            "rules": [
                {"count": summary[rule][name], "rate": summary[rule][f"{name}_rate"],
                 "interval": summary[rule]["intervals"][f"{name}_rate"]}
                for rule in ("hoover", "seed")
            ],
        }
        for name, meaning, whole in FATES
    ]  # fmt: skip
    return {
        "tolerance": summary["tolerance"],
        "rows": rows,
        "hoover": summary["hoover"],
        "seed": summary["seed"],
        "information": summary["variation_of_information"],
        "sweep": charts.sweep_chart(summary["sweep"]),
    }


def flags(run: Run) -> Section | None:
    """What the flags said, and how good that was where there is ground truth."""
    summary = run.summary["flags"]
    verdicts = {name: count for name, count in summary["verdicts"].items() if count}
    if not verdicts:
        return None
    sheet = summary["sheet"] or {}
    rows = [
        {"target": target, "level": title, "rival": _best_rival(sheet[target][level]),
         **sheet[target][level]}
        for target in TARGETS
        for level, title in LEVELS.items()
        if level in sheet.get(target, {})
    ]  # fmt: skip
    return {
        "verdicts": verdicts,
        "pictures": sum(verdicts.values()),
        "over_threshold": summary["over_threshold"],
        "under_threshold": summary["under_threshold"],
        "reasons": summary["reasons"],
        "rows": rows,
        "no_sheet": summary["no_sheet"],
        "seen": sheet.get("scenes_seen_in_fitting", 0),
        "unfitted": {t: sheet[t]["unfitted"] for t in TARGETS if "unfitted" in sheet.get(t, {})},
        "reliability": _reliability(rows),
    }


def _best_rival(block: Section) -> Section | None:
    """The single signal that ranks best, so that the flags have something to beat."""
    rivals = [
        {"name": name, **block["compared"][name]}
        for name in (*SIMPLE, LARGEST)
        if block["compared"].get(name, {}).get("average_precision") is not None
    ]
    return max(rivals, key=lambda rival: rival["average_precision"], default=None)


def _reliability(rows: list[Section]) -> charts.Chart | None:
    series = {}
    for row in rows:
        if row["level"] == "instance" and row["reliability"]:
            predicted, observed, counts = (
                np.array([part[key] for part in row["reliability"]])
                for key in ("predicted", "observed", "count")
            )
            error = row["calibration_error"]
            series[f"p_{row['target']}"] = Calibration(predicted, observed, counts, error)
    return charts.calibration_chart(series, "probability of the flag") if series else None


def picture_errors(measured: Measured) -> Section:
    """How the error spreads over the pictures."""
    counts, edges = np.histogram(measured.errors(), bins=20, range=(0.0, 1.0))
    chart = charts.histogram_chart(counts, edges, "error of a picture", "pictures")
    return {"chart": chart, "perfect": int((measured.errors() == 0).sum())}


def confusion(instances: pa.Table, threshold: float) -> Section:
    """What was there against what was said."""
    matrix = confusion_matrix(instances, threshold)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    return {
        "labels": LABELS,
        "rows": [
            {"label": label, "cells": [
                {"count": int(count), "share": float(share), "right": i == j, "empty": i == j == 2}
                for j, (count, share) in enumerate(zip(matrix[i], shares[i], strict=True))
            ]}
            for i, label in enumerate(LABELS)
        ],
    }  # fmt: skip


def latency(run: Run) -> Section | None:
    """Percentiles of each stage, and how the whole time spreads."""
    stages = run.summary["times"]["latency_ms"]
    if not stages:
        return None
    total = _finite(run.samples["total_ms"])
    section: Section = {"stages": stages, "chart": charts.latency_chart(stages), "spread": None}
    if len(total) > 1:
        section["top"] = top = float(np.percentile(total, 99.5))
        counts, edges = np.histogram(np.minimum(total, top), bins=40)
        section["spread"] = charts.histogram_chart(counts, edges, "ms a picture, whole", "pictures")
    return section


def found(run: Run, instances: pa.Table) -> Section:
    """How many objects were found in a picture and how sure; needs no ground truth."""
    per_picture = _finite(run.samples["objects_predicted"])
    objects = pc.and_(pc.equal(instances["kind"], "prediction"), pc.equal(instances["class_id"], 0))
    scores = _finite(instances.filter(objects)["score"])
    top = int(per_picture.max(initial=0))
    counts = np.bincount(per_picture.astype(np.intp), minlength=top + 1)
    section: Section = {"pictures": len(per_picture), "objects": int(per_picture.sum()),
                        "per_picture": None, "scores": None}  # fmt: skip
    if len(per_picture):
        section["per_picture"] = charts.histogram_chart(
            counts, np.arange(top + 2) - 0.5, "objects above the operating threshold", "pictures"
        )
    if len(scores):
        histogram, edges = np.histogram(scores, bins=40, range=(0.0, 1.0))
        section["scores"] = charts.histogram_chart(histogram, edges, "score", "objects")
    return section


def _finite(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    values = np.asarray(pc.cast(column.drop_null(), pa.float64()).to_numpy(), np.float64)
    return values[np.isfinite(values)]
