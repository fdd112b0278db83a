# SPDX-License-Identifier: Apache-2.0
"""The sheet of a check as text for a terminal, and its reliability as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PLOT_PX = 260
MARGIN_PX = 46
LEVELS = {"instance": "instance", "hard": "touching", "frame": "picture"}  # key: title


def sheet_text(sheet: dict[str, Any]) -> str:
    """Write the sheet as lines of at most 100 columns."""
    scenes, seen = sheet["scenes"], sheet["scenes_seen_in_fitting"]
    lines = [f"{sheet['pictures']} pictures of {scenes} scenes, detector {sheet['detector'][:12]}"]
    if seen:
        lines.append(f"warning: {seen} of the scenes were used for fitting; the figures flatter")
    for target in ("over", "under"):
        if "unfitted" in sheet[target]:
            lines += ["", f"{target}: not fitted, {sheet[target]['unfitted']}"]
            continue
        for level, title in LEVELS.items():
            if level in sheet[target]:
                lines += ["", *_block(f"{target}, {title}", sheet[target][level])]
    return "\n".join(lines)


def _block(title: str, block: dict[str, Any]) -> Iterator[str]:
    alarms = " ".join(
        f"{rate}: {number(value)}" for rate, value in block["recall_at_false_alarms"].items()
    )
    yield f"{title}: {block['positives']} of {block['rows']} ({number(block['prevalence'])})"
    yield f"  AUROC {spanned(block, 'auroc')}   AP {spanned(block, 'average_precision')}"
    yield f"  FPR at 95 % TPR {number(block['false_positive_rate_at_95'])}"
    yield f"  recall at false alarms per picture  {alarms}"
    yield (
        f"  ECE {number(block['calibration_error'])}   Brier skill {number(block['brier_skill'])}"
        f"   AURC {number(block['risk_coverage_area'])}"
        f"   AUGRC {number(block['generalized_risk_coverage_area'])}"
    )
    for name, rival in block["compared"].items():
        lead = rival["lead_interval"]
        ahead = f"{lead[0]:+.3f} to {lead[1]:+.3f}" if lead else "-"
        yield (
            f"    {name:32} AUROC {number(rival['auroc'])}   AP "
            f"{number(rival['average_precision'])}   lead in AP {ahead}"
        )


def spanned(block: dict[str, Any], name: str) -> str:
    """Write a figure of a block with its interval."""
    interval = block[f"{name}_interval"]
    span = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return number(block[name]) + span


def number(value: float | None) -> str:
    """Write a figure with three digits; ``-`` for None."""
    return "-" if value is None else f"{value:.3f}"


def reliability_svg(sheet: dict[str, Any]) -> str:
    """Draw predicted against observed shares, one panel per target and level."""
    panels = [
        (f"{target}, {LEVELS[level]}", sheet[target][level]["reliability"])
        for target in ("over", "under")
        for level in ("instance", "frame")
        if level in sheet[target]
    ]
    width, height = len(panels) * (PLOT_PX + MARGIN_PX) + MARGIN_PX, PLOT_PX + 2 * MARGIN_PX
    drawn = "".join(
        _panel(title, bins, MARGIN_PX + index * (PLOT_PX + MARGIN_PX))
        for index, (title, bins) in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{drawn}</svg>\n"
    )


def _panel(title: str, bins: list[dict[str, float]], left: int) -> str:
    bottom = MARGIN_PX + PLOT_PX
    right = left + PLOT_PX
    shapes = [
        _svg(
            "rect", x=left, y=MARGIN_PX, width=PLOT_PX, height=PLOT_PX, fill="none", stroke="#999"
        ),
        _svg("line", x1=left, y1=bottom, x2=right, y2=MARGIN_PX, stroke="#bbb"),
        f'<text x="{left}" y="{MARGIN_PX - 10}">{title}</text>',
        f'<text x="{left}" y="{bottom + 30}">predicted (0 to 1), observed upwards</text>',
    ]
    points = [
        (left + PLOT_PX * item["predicted"], bottom - PLOT_PX * item["observed"]) for item in bins
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    shapes.append(_svg("polyline", points=path, fill="none", stroke="#1f77b4"))
    shapes += [_svg("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4, fill="#1f77b4") for x, y in points]
    return "".join(shapes)


def _svg(tag: str, **attributes: object) -> str:
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<{tag} {written}/>"
