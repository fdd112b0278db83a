# SPDX-License-Identifier: Apache-2.0
"""Which failures of a run to show: the worst of each kind, chosen from its tables alone.

Splits and merges are those of the seed rule: where parts leave a hole, Hoover's sees no split but
noise and a miss, which would not tell an engineer what to mend.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.types import OBJECT

COLUMNS = ("image_id", "kind", "index", "class_id", "score", "area", "outcome", "best_iou",
           "matched_score", "operating", "p_over", "p_under", "partner", "seed_outcome",
           "soft_over")  # fmt: skip
KINDS = {
    "over": "split: several predictions lie in one object and cover it",
    "under": "merged: one prediction covers several objects",
    "missed": "missed: no prediction found the object",
    "noise": "noise: the prediction shows no object",
    "duplicate": "duplicate: the object was found more than once",
    "likely_over": "probably split, by the flags alone",
    "likely_under": "probably merged, by the flags alone",
}
SAME_PICTURE = 3  # of a kind: one bad picture must not fill the gallery
FLAGGED = 0.25  # probability from which an unlabelled prediction is worth a look
DUPLICATE_IOU = 0.65  # containment both ways above 0.8 means at least 2/3


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong.

    Attributes:
        kind: One of ``KINDS``.
        image_id: The picture.
        index: Ground truth (over, duplicate, missed) or prediction (the others) in it.
        severity: 0..1; how wrong: share of the second part (over, duplicate), score (under,
            noise), 1 - best mask IoU (missed), probability (likely ones).
    """

    kind: str
    image_id: int
    index: int
    severity: float


def find_failures(
    instances: pa.Table, labelled: Iterable[int], threshold: float, most: int
) -> tuple[list[Failure], dict[str, int]]:
    """Choose the worst failures.

    Args:
        instances: Rows of ``instances.parquet`` with at least ``COLUMNS``.
        labelled: Numbers of the labelled pictures; on others only the flags speak.
        threshold: Operating threshold.
        most: Most failures to choose.

    Returns:
        The failures, worst of each kind first and kinds taking turns; and how many there are.
    """
    objects = instances.filter(pc.equal(instances["class_id"], OBJECT))
    found: dict[str, list[Failure]] = {}
    counts: dict[str, int] = {}
    known = pc.is_in(objects["image_id"], pa.array(list(labelled), pa.int64()))
    for kind, rows, severity in _wrong(objects.filter(known), threshold):
        found[kind], counts[kind] = _worst(kind, rows, severity, most)
    for kind, rows, severity in _suspect(objects.filter(pc.invert(known))):
        found[kind], counts[kind] = _worst(kind, rows, severity, most)
    return take_turns(found, most), {kind: n for kind, n in counts.items() if n}


Chosen = tuple[str, pa.Table, npt.NDArray[np.float64]]


def _wrong(rows: pa.Table, threshold: float) -> Iterable[Chosen]:
    is_truth, outcome = pc.equal(rows["kind"], "truth"), rows["seed_outcome"]
    split = rows.filter(pc.and_(is_truth, pc.equal(outcome, "over")))
    twice = pc.fill_null(pc.greater_equal(split["best_iou"], DUPLICATE_IOU), False)
    for kind, chosen in (("over", pc.invert(twice)), ("duplicate", twice)):
        part = split.filter(chosen)
        yield kind, part, _floats(part["soft_over"])
    merged = rows.filter(pc.and_(pc.equal(rows["kind"], "prediction"), pc.equal(outcome, "under")))
    yield "under", merged, _floats(merged["score"])
    unseen = pc.fill_null(pc.less_equal(rows["matched_score"], threshold), True)
    missed = rows.filter(pc.and_(pc.and_(is_truth, pc.equal(outcome, "missed")), unseen))
    # Of those that nothing comes near, the larger object is the worse miss.
    area = _floats(missed["area"])
    yield "missed", missed, 1 - _floats(missed["best_iou"]) + 1e-6 * area / area.max(initial=1)
    wrong = pc.and_(pc.equal(outcome, "noise"), pc.equal(rows["outcome"], "false_positive"))
    noise = rows.filter(pc.and_(pc.equal(rows["kind"], "prediction"), wrong))
    yield "noise", noise, _floats(noise["score"])


def _suspect(rows: pa.Table) -> Iterable[Chosen]:
    shown = rows.filter(pc.and_(pc.equal(rows["kind"], "prediction"), rows["operating"]))
    for name in ("over", "under"):
        p = pc.fill_null(shown[f"p_{name}"], 0.0)
        flagged = shown.filter(pc.greater_equal(p, FLAGGED))
        yield f"likely_{name}", flagged, _floats(flagged[f"p_{name}"])


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    filled = pc.fill_null(pc.cast(column, pa.float64()), 0.0)
    return np.nan_to_num(np.asarray(filled.to_numpy(), np.float64))


def _worst(
    kind: str, rows: pa.Table, severity: npt.NDArray[np.float64], most: int
) -> tuple[list[Failure], int]:
    """Take the most severe rows, a few of each picture."""
    ids, indices = rows["image_id"].to_numpy(), rows["index"].to_numpy()
    seen: Counter[int] = Counter()
    out: list[Failure] = []
    for row in np.lexsort((indices, ids, -severity)).tolist():
        seen[ids[row]] += 1
        if seen[ids[row]] <= SAME_PICTURE:
            value = min(1.0, float(severity[row]))
            out.append(Failure(kind, int(ids[row]), int(indices[row]), value))
        if len(out) == most:
            break
    return out, len(rows)


def take_turns(found: dict[str, list[Failure]], most: int) -> list[Failure]:
    """Merge lists: the first of each kind, then the second of each, up to ``most``."""
    places: dict[int, list[Failure]] = defaultdict(list)
    for kind in KINDS:
        for place, failure in enumerate(found.get(kind, [])):
            places[place].append(failure)
    return [failure for place in sorted(places) for failure in places[place]][:most]
