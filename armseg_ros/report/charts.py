# SPDX-License-Identifier: Apache-2.0
"""Figures in plotly's JSON form, in one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.report.curves import THRESHOLDS, Calibration, ThresholdCurve

Chart = dict[str, Any]
BLUE, ORANGE, GREEN, RED, VIOLET, GREY = (
    "#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#94a3b8",
)  # fmt: skip
FATE_COLORS = {"correct": GREEN, "over": ORANGE, "merged": VIOLET, "missed": RED, "noise": GREY}
GRID = "#e5e7eb"


def _layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": "#9ca3af", "ticks": "outside",
            "tickcolor": "#9ca3af", "automargin": True}  # fmt: skip
    return {
        "xaxis": {**axis, "title": {"text": x, "standoff": 8}, **more.pop("xaxis", {})},
        "yaxis": {**axis, "title": {"text": y, "standoff": 8}, **more.pop("yaxis", {})},
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#374151"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"font": {"family": "system-ui, sans-serif"}},
        "height": 340,
        **more,
    }


SHARE = {"range": [0, 1.02]}


def numbers(values: npt.ArrayLike, digits: int = 4) -> list[float | None]:
    """Round for a page; NaN becomes None."""
    array = np.round(np.asarray(values, np.float64), digits)
    return [None if np.isnan(value) else float(value) for value in array]


def line(name: str, x: npt.ArrayLike, y: npt.ArrayLike, color: str, **more: Any) -> dict[str, Any]:
    """Make a line."""
    style = {"color": color, "width": 2, "dash": more.pop("dash", "solid")}
    return {"type": "scatter", "mode": "lines", "name": name, "x": numbers(x), "y": numbers(y),
            "line": style, **more}  # fmt: skip


def precision_recall_chart(curves: Sequence[tuple[str, Any, str]]) -> Chart:
    """Draw precision over recall; each curve is name, (recall, precision, score) and colour."""
    hover = "recall %{x:.3f}, precision %{y:.3f}, score %{customdata:.3f}"
    data = [
        line(name, recall, precision, color, customdata=numbers(scores), hovertemplate=hover)
        for name, (recall, precision, scores), color in curves
    ]
    return {"data": data, "layout": _layout("recall", "precision", xaxis=SHARE, yaxis=SHARE)}


def threshold_chart(curve: ThresholdCurve, operating: float) -> Chart:
    """Draw precision, recall and F1 over the score threshold, with the two thresholds marked."""
    data = [
        line("F1", THRESHOLDS, curve.f1, BLUE),
        line("precision", THRESHOLDS, curve.precision, GREEN, dash="dot"),
        line("recall", THRESHOLDS, curve.recall, ORANGE, dash="dash"),
    ]
    layout = _layout("score threshold", "", xaxis=SHARE, yaxis=SHARE, hovermode="x unified")
    marks = [(curve.best, f"best {curve.best:.3f}", BLUE, 0.06),
             (operating, f"operating {operating:g}", GREY, 0.94)]  # fmt: skip
    layout["shapes"] = [_mark(x, color) for x, _, color, _ in marks]
    layout["annotations"] = [
        {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "xshift": 4,
         "font": {"color": color, "size": 11}, "bgcolor": "rgba(255,255,255,0.8)"}
        for x, text, color, y in marks
    ]  # fmt: skip
    return {"data": data, "layout": layout}


def _mark(x: float, color: str) -> dict[str, Any]:
    style = {"color": color, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": style}


def calibration_chart(series: Mapping[str, Calibration], x: str = "mean score") -> Chart:
    """Draw observed over predicted shares; the size of a dot shows how many are behind it."""
    data = [
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "perfect",
         "line": {"color": GREY, "width": 1, "dash": "dash"}, "hoverinfo": "skip"}
    ]  # fmt: skip
    for (name, curve), color in zip(series.items(), (BLUE, ORANGE, VIOLET), strict=False):
        sizes = 5 + 9 * np.sqrt(curve.counts / curve.counts.max())
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": name,
            "x": numbers(curve.predicted), "y": numbers(curve.observed),
            "marker": {"size": numbers(sizes, 1), "color": color},
            "line": {"color": color, "width": 1.5}, "customdata": curve.counts.tolist(),
            "hovertemplate": "predicted %{x:.3f}, observed %{y:.3f}, %{customdata} instances",
        })  # fmt: skip
    return {"data": data, "layout": _layout(x, "observed share", xaxis=SHARE, yaxis=SHARE)}


def scatter_chart(x: npt.ArrayLike, y: npt.ArrayLike, right: npt.NDArray[np.bool_]) -> Chart:
    """Draw score against the best mask IoU of a sample of predictions."""
    x, y = np.asarray(x), np.asarray(y)
    groups = (("found an object", right, GREEN), ("wrong", ~right, RED))
    data = [
        {"type": "scattergl", "mode": "markers", "name": name, "x": numbers(x[rows], 3),
         "y": numbers(y[rows], 3), "marker": {"size": 4, "color": color, "opacity": 0.45}}
        for name, rows, color in groups
    ]  # fmt: skip
    layout = _layout("score", "best mask IoU", xaxis=SHARE, yaxis=SHARE)
    return {"data": data, "layout": layout}


def sweep_chart(sweep: Sequence[dict[str, Any]]) -> Chart:
    """Draw what becomes of objects and predictions over the tolerance, by both rules."""
    tolerances = [step["tolerance"] for step in sweep]
    data = []
    for rule, dash in (("hoover", "solid"), ("seed", "dot")):
        for fate, color in FATE_COLORS.items():
            rates = [step[rule][f"{fate}_rate"] for step in sweep]
            values = [float("nan") if rate is None else rate for rate in rates]
            data.append(line(f"{fate}, {rule}", tolerances, values, color, dash=dash,
                             legendgroup=rule))  # fmt: skip
    layout = _layout("tolerance T", "share", yaxis={"rangemode": "tozero"})
    legend = {"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"}
    return {"data": data, "layout": layout | {"legend": legend, "height": 430}}


def histogram_chart(counts: npt.ArrayLike, edges: npt.ArrayLike, x: str, y: str) -> Chart:
    """Draw a histogram that was counted before, so that the page stays small."""
    edges = np.asarray(edges, np.float64)
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    data = [{"type": "bar", "x": numbers(middle), "y": numbers(counts), "width": numbers(width),
             "marker": {"color": BLUE, "line": {"color": "#ffffff", "width": 1}}}]  # fmt: skip
    return {"data": data, "layout": _layout(x, y)}


def latency_chart(stages: Mapping[str, Mapping[str, float]]) -> Chart:
    """Draw median and 99th percentile of each stage."""
    names = [name.replace("_", " ") for name in stages]
    data = [
        {"type": "bar", "orientation": "h", "name": title, "y": names, "marker": {"color": color},
         "x": numbers([stage[key] for stage in stages.values()], 2),
         "hovertemplate": "%{y}: %{x:.1f} ms"}
        for key, title, color in (("p50", "median", BLUE), ("p99", "99th percentile", "#bfdbfe"))
    ]  # fmt: skip
    layout = _layout("ms a picture", "", yaxis={"autorange": "reversed"})
    return {"data": data, "layout": layout | {"height": 110 + 44 * len(names), "bargap": 0.3}}
