# SPDX-License-Identifier: Apache-2.0
"""A report: one folder of pages about one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.data.new_folder import new_folder
from armseg_ros.evaluate.measures import Measured, intervals, measure
from armseg_ros.evaluate.read_run import Run
from armseg_ros.report import confusion, failures, pages, sections
from armseg_ros.report.curves import LOWEST_SCORE
from armseg_ros.report.gallery import make_cards
from armseg_ros.report.pictures import Pictures, pictures_of
from armseg_ros.report.slices import NAMES, slice_table

MOST_FAILURES = 200
STATIC = ("report.css", "report.js", "gallery.js")
_COLUMNS = tuple(dict.fromkeys([*confusion.COLUMNS, *failures.COLUMNS]))


def build_report(
    run: Run,
    folder: Path,
    source: Path | None = None,
    *,
    image_topic: str | None = None,
    most_failures: int = MOST_FAILURES,
) -> dict[str, Any]:
    """Write the report of a run.

    Args:
        run: The run.
        folder: Where the pages go; refused unless empty. It appears when it is whole.
        source: Where the pictures are now (for a run of several sources the folder that holds
            them by name); None takes the places that the run names.
        image_topic: Topic of the pictures, where a bag holds several.
        most_failures: Most failures in the gallery; 0 shows none.

    Returns:
        ``pictures`` and ``failures`` shown, and ``problems``: sentences on pictures that the
        gallery could not show.

    Raises:
        DataError: The folder is in use or cannot be written, or ``source`` does not open.
    """
    pictures = pictures_of(run, source, image_topic)
    with new_folder(folder) as place:
        pages.write_static(place, STATIC)
        gallery = _gallery(run, place, pictures, most_failures)
        base = _base(run)
        pages.write_page(place, "gallery.html", **base, **gallery)
        pages.write_page(place, "index.html", **base, **_overview(run), failures=gallery["counts"])
    shown = len(gallery["cards"])
    return {"pictures": len(run.samples), "failures": shown, "problems": gallery["problems"]}


def _base(run: Run) -> dict[str, Any]:
    """What every page shows; the date stands on a line of its own."""
    return {
        "run": run,
        "summary": run.summary,
        "title": run.folder.resolve().name,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _overview(run: Run) -> dict[str, Any]:
    measured = measure(run)
    labelled = pc.and_(run.samples["labelled"], pc.equal(run.samples["status"], "answered"))
    samples = run.samples.filter(labelled)
    threshold = float(run.summary["settings"]["operating_threshold"])
    instances = _visible(run, _COLUMNS, min(threshold, LOWEST_SCORE))
    has_truth = len(samples) > 0
    return {
        "headline": sections.headline(measured, intervals(measured)),
        "curves": sections.curves(run, measured) if has_truth else None,
        "scatter": sections.scatter(instances) if has_truth else None,
        "splits": sections.splits(run),
        "flags": sections.flags(run),
        "confusion": sections.confusion(instances, threshold) if has_truth else None,
        "errors": sections.picture_errors(measured) if has_truth else None,
        **_slices(measured, samples),
        "overall": measured.values(names=NAMES) if has_truth else None,
        "latency": sections.latency(run),
        "found": sections.found(run, instances),
    }


def _visible(run: Run, columns: Sequence[str], above: float) -> pa.Table:
    """Read ground truth and the predictions above a score: of the rest there are millions."""
    where = (pc.field("kind") == "truth") | (pc.field("score") > above) | pc.field("operating")
    return run.read_instances(columns, where=where, compact=True)


def _slices(measured: Measured, samples: pa.Table) -> dict[str, Any]:
    table = slice_table(measured, samples) if len(samples) else None
    ends = [
        s.intervals["object_mask_ap"][1]
        for rows in (table or {}).values()
        for s in rows
        if s.intervals["object_mask_ap"]
    ]
    top = min(1.0, np.ceil(10 * max(ends, default=1.0)) / 10) or 1.0
    return {"slices": table, "top": float(top)}


def _gallery(run: Run, folder: Path, pictures: Pictures, most: int) -> dict[str, Any]:
    answered = run.samples.filter(pc.equal(run.samples["status"], "answered"))
    labelled = answered.filter(answered["labelled"])["image_id"].to_pylist()
    threshold = float(run.summary["settings"]["operating_threshold"])
    instances = _visible(run, failures.COLUMNS, threshold)
    chosen, counts = failures.find_failures(instances, labelled, threshold, most)
    del instances
    cards, problems = make_cards(run, chosen, pictures, folder / "crops")
    shown = Counter(card.kind for card in cards)
    splits = run.summary["splits"]
    if splits:  # which of the two it is shows in the masks only
        counts |= {"over": splits["seed"]["fragments"]}
        counts |= {"duplicate": splits["seed"]["duplicates"]}
    return {
        "cards": cards,
        "counts": [
            {"kind": kind, "meaning": meaning, "total": counts.get(kind, 0), "shown": shown[kind]}
            for kind, meaning in failures.KINDS.items()
            if counts.get(kind, 0) or shown[kind]
        ],
        "problems": problems,
        "labelled": bool(labelled),
    }
