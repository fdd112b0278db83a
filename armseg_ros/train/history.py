# SPDX-License-Identifier: Apache-2.0
"""The log of a run: means of the loss, ``log.csv`` with one row per report, ``curves.png``."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable
from pathlib import Path

from armseg_ros.errors import DataError
from armseg_ros.train.checkpoint import write_atomic
from armseg_ros.train.loss import TERMS

log = logging.getLogger(__name__)

METRICS = ("object_ap", "object_ap50", "tote_ap", "tote_ap50")
COLUMNS = (
    *("step", "epoch", "minutes", "learning_rate", "height", "width", "seconds_per_step"),
    *TERMS,
    *METRICS,
)
MAX_BAD_STEPS = 20
"""So many steps in a row without a finite loss end the run."""
Row = dict[str, float]


class Meter:
    """Means of the loss terms since the last report, and the guard against a diverged run.

    Args:
        clock: Tells the training seconds so far.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sums: dict[str, float] = {}
        self._count = self._bad = 0
        self._since = clock()

    def add(self, terms: dict[str, float]) -> None:
        """Add the terms of one step.

        Raises:
            DataError: MAX_BAD_STEPS steps in a row had no finite loss.
        """
        if not math.isfinite(sum(terms.values())):
            self._bad += 1
            if self._bad == MAX_BAD_STEPS:
                raise DataError(
                    f"the loss has not been finite for {MAX_BAD_STEPS} steps; lower the learning "
                    "rate and go on from the last checkpoint"
                )
            return
        self._bad = 0
        self._count += 1
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """Return the means and begin anew; nothing added gives an empty mapping."""
        count, sums, now = self._count, self._sums, self._clock()
        seconds = now - self._since
        self._sums, self._count, self._since = {}, 0, now
        if not count:
            return {}
        return {"seconds_per_step": seconds / count} | {k: v / count for k, v in sums.items()}


class History:
    """Rows of a run's log, kept in memory and rewritten as a whole.

    Args:
        folder: The run's folder.
        first_step: Rows of an earlier part beyond this step are dropped, so that a resumed run
            does not report a step twice.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._csv = folder / "log.csv"
        self._png = folder / "curves.png"
        self.rows = [row for row in read_history(self._csv) if row["step"] <= first_step]

    def add(self, row: Row) -> None:
        """Append a row, or complete the last one where it is of the same step.

        Columns that a row lacks stay empty.
        """
        if self.rows and self.rows[-1]["step"] == row["step"]:
            self.rows[-1] = self.rows[-1] | row
        else:
            self.rows.append(row)

    def write_table(self) -> None:
        """Write ``log.csv``.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
        write_atomic(self._csv, lambda file: file.write(text.getvalue().encode()))

    def draw(self) -> None:
        """Write ``curves.png``.

        Raises:
            DataError: As ``write_table``.
        """
        _draw(self.rows, self._png)


def read_history(path: Path) -> list[Row]:
    """Read ``log.csv``; a missing file gives no rows.

    Raises:
        DataError: The file is not such a table.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not a training log ({error}); move it away") from error


def _draw(rows: list[Row], path: Path) -> None:
    """Draw loss terms and AP over the training minutes; without matplotlib only say so."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log.info("matplotlib is not installed: %s is not drawn", path.name)
        return
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for axes, names in ((losses, TERMS), (scores, METRICS)):
        for name in names:
            points = [(row["minutes"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.replace("_", " "))
        axes.set_xlabel("training minutes")
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize=7)
    losses.set_title("loss terms, unweighted")
    losses.set_yscale("log")
    scores.set_title("mask AP on validation pictures")
    scores.set_ylim(0, 1)
    write_atomic(path, lambda file: figure.savefig(file, format="png", dpi=110))
