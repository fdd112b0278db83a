# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown tables and one drawing, put between two marks of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armseg_ros.errors import DataError
from armseg_ros.latent.proof.captured import SHARES, Captured

BEGIN, END = "<!-- figures begin -->", "<!-- figures end -->"
STUDENT_T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
"""0.975 quantile of Student's t by number of values."""


def captured_table(figures: Mapping[str, Captured], total: int) -> str:
    """Write the shares of error with their intervals."""
    heads = " | ".join(f"first {round(share * total)}" for share in SHARES)
    lines = [f"| strategy | {heads} |", "|---" * (len(SHARES) + 1) + "|"]
    for name, one in figures.items():
        cells = [_cell(*values) for values in one.shares]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    heads = " | ".join(f"first {round(share * total)}" for share in SHARES)
    lines += ["", f"| more than random | {heads} |", "|---" * (len(SHARES) + 1) + "|"]
    for name, one in figures.items():
        if name not in ("random", "oracle"):
            cells = [_cell(*values, sign=True) for values in one.over_random]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write trainings of a way to choose beside those of random, and their paired difference.

    Args:
        heads: Names of the first columns, then of the two ways.
        rows: What stands in the first columns, then AP by seed of the one and of the other.
    """
    lines = [
        f"| {' | '.join(heads)} | difference |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for *labels, chosen, random in rows:
        difference = interval(np.array(chosen) - np.array(random))
        cells = [*labels, values_text(chosen), values_text(random), _cell(*difference, sign=True)]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


def interval(values: Any) -> tuple[float, float, float]:
    """Give mean and the ends of its 95 % interval by Student's t; one value has no interval."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, -np.inf, np.inf
    half = STUDENT_T[count] * float(np.std(values, ddof=1)) / np.sqrt(count)
    return mean, mean - half, mean + half


def write_figures(page: Path, text: str) -> None:
    """Put text between the marks of a page.

    Raises:
        DataError: The page lacks them.
    """
    whole = page.read_text(encoding="utf-8")
    before, mark, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise DataError(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def draw(figures: Mapping[str, Captured], path: Path) -> None:
    """Draw the share of error captured against the share of pictures labelled."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "armseg"  # the same figures give the same file
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    styles = {"targeted": "-", "uncertainty": "--", "k-centre": "-.", "random": ":", "oracle": "-"}
    for name, one in figures.items():
        shares = np.arange(1, len(one.curve) + 1) / len(one.curve)
        colour = "0.7" if name == "oracle" else None
        axes.plot(shares, one.curve, styles[name], label=name, color=colour)
    axes.set_xlabel("share of the unlabelled pictures that is labelled")
    axes.set_ylabel("share of all true error in them")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def values_text(values: Sequence[float]) -> str:
    """Write the mean of some values, and each."""
    return f"{np.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"


def _cell(value: float, low: float, high: float, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
