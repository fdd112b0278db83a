# SPDX-License-Identifier: Apache-2.0
"""The failures of a run as cards: a crop, outlines of ground truth and prediction, a few facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.data.source import Item
from armseg_ros.errors import ArmsegError, DataError
from armseg_ros.evaluate.read_run import Run
from armseg_ros.masks import decode_full, intersection_areas
from armseg_ros.report.crops import Window, outline, window_around, write_crop
from armseg_ros.report.failures import Failure
from armseg_ros.report.masks_on_disk import read_predictions
from armseg_ros.report.pictures import Pictures
from armseg_ros.types import OBJECT, Mask

PART_SHARE = 0.8  # tolerance of the rules: so much of a part lies inside the whole
COLUMNS = ("image_id", "kind", "index", "class_id", "score", "area", "best_iou", "operating",
           "p_over", "p_under", "partner", "seed_outcome")  # fmt: skip
TOLERANCES_PX = {"main": 1.0, "context": 2.5}  # of outlines
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """One outline on a crop.

    Attributes:
        layer: ``truth`` or ``prediction``.
        role: ``main`` for what the card is about, ``context`` for its neighbours.
        path: SVG path data in pixels of the crop.
        label: Score of a prediction; empty for ground truth.
    """

    layer: str
    role: str
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Card:
    """One failure as it is shown.

    Attributes:
        kind: As in ``failures.KINDS``.
        sample_id: Name of the picture.
        time: Its stamp as a date; empty where it has none.
        stamp_ns: The stamp itself; 0 where it has none.
        severity: 0..1.
        facts: Sentences about it.
        crop: File name of the crop; empty without pictures.
        size: Width and height of the crop in pixels.
        shapes: Outlines, context first.
    """

    kind: str
    sample_id: str
    time: str
    stamp_ns: int
    severity: float
    facts: tuple[str, ...]
    crop: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]


def make_cards(
    run: Run, failures: Sequence[Failure], pictures: Pictures, folder: Path
) -> tuple[list[Card], list[str]]:
    """Make a card for each failure, in the same order.

    Args:
        run: The run.
        failures: What to show.
        pictures: Where the pictures are.
        folder: Where crops go.

    Returns:
        The cards, without a crop where a picture is not to be had, and sentences on why.
    """
    wanted: dict[int, list[Failure]] = defaultdict(list)
    for failure in failures:
        wanted[failure.image_id].append(failure)
    samples = _samples(run, wanted)
    rows = _rows(run, wanted)
    cards = {f: _plain_card(f, samples[f.image_id], rows[f.image_id]) for f in failures}
    predictions = read_predictions(run.folder, wanted) if failures else {}
    numbers = {row["sample_id"]: number for number, row in samples.items()}
    problems: list[str] = []
    for name, item in pictures.find(numbers, problems):
        number = numbers[name]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            picture = _Picture(item, predictions.get(number, []), rows[number])
        except ArmsegError as error:
            problems.append(f"{name}: {error}")
            continue
        for failure in wanted[number]:
            cards[failure] = picture.card(cards[failure], failure, folder)
    return [cards[failure] for failure in failures], problems


def _samples(run: Run, wanted: dict[int, Any]) -> dict[int, Row]:
    columns = ["sample_id", "image_id", "stamp_ns", "height", "width"]
    chosen = pc.is_in(run.samples["image_id"], pa.array(list(wanted), pa.int64()))
    return {row["image_id"]: row for row in run.samples.select(columns).filter(chosen).to_pylist()}


def _rows(run: Run, wanted: dict[int, Any]) -> dict[int, dict[tuple[str, int], Row]]:
    """Instances of some pictures by picture, then by kind and index."""
    where = pc.field("image_id").isin(pa.array(list(wanted), pa.int64()))
    chosen = run.read_instances(COLUMNS, where=where, compact=True)
    out: dict[int, dict[tuple[str, int], Row]] = defaultdict(dict)
    for row in chosen.to_pylist():
        out[row["image_id"]][row["kind"], row["index"]] = row
    return out


def _plain_card(failure: Failure, sample: Row, rows: dict[tuple[str, int], Row]) -> Card:
    side = "truth" if failure.kind in ("over", "duplicate", "missed") else "prediction"
    stamp = sample["stamp_ns"] or 0
    return Card(
        kind=failure.kind,
        sample_id=sample["sample_id"],
        time=bag_time(stamp),
        stamp_ns=stamp,
        severity=failure.severity,
        facts=_facts(rows[side, failure.index]),
        crop="",
        size=(0, 0),
        shapes=(),
    )


def bag_time(stamp_ns: int) -> str:
    """Write a stamp as a date in UTC with milliseconds; empty for 0."""
    if stamp_ns <= 0:
        return ""
    seconds, rest = divmod(stamp_ns, 10**9)
    try:
        date = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return f"{stamp_ns} ns"
    return f"{date:%Y-%m-%d %H:%M:%S}.{rest // 10**6:03d} UTC"


def _facts(row: Row) -> tuple[str, ...]:
    out = [f"{row['kind']} {row['index']}", f"{row['area']} px"]
    if row["score"] is not None:
        out.append(f"score {row['score']:.2f}")
    if row["best_iou"] is not None:
        out.append(f"best mask IoU {row['best_iou']:.2f}")
    flags = [f"{name} {row[name]:.2f}" for name in ("p_over", "p_under") if row[name] is not None]
    return (*out, *flags)


class _Picture:
    """One picture with its pixels and masks, while its cards are made."""

    def __init__(
        self, item: Item, records: list[dict[str, Any]], rows: dict[tuple[str, int], Row]
    ) -> None:
        self._image = item.frame().image
        hw = self._image.shape[:2]
        truth = item.truth()
        counted = Counter(kind for kind, _ in rows)
        if truth is not None and counted["truth"] != len(truth):
            raise DataError(
                f"{len(truth)} ground truths in the source, {counted['truth']} in the run; the "
                "source has changed since"
            )
        if counted["prediction"] != len(records):
            raise DataError(
                f"{len(records)} predictions in predictions.json, {counted['prediction']} in the "
                "tables; evaluate again"
            )
        self._rows = rows
        self._masks: dict[tuple[str, int], Mask] = {}
        for index in range(len(truth) if truth is not None else 0):
            self._masks["truth", index] = truth.masks[index]  # type: ignore[union-attr]
        for index, record in enumerate(records):
            row = rows.get(("prediction", index))
            if row is not None and row["operating"]:
                self._masks["prediction", index] = decode_full(record["segmentation"], hw)

    def card(self, card: Card, failure: Failure, folder: Path) -> Card:
        """Add the crop and its outlines to a card."""
        main, kind, fact = self._involved(failure)
        masks = [self._masks[key] for key in main if key in self._masks]
        window = window_around(masks, self._image.shape[:2])
        name = f"{failure.image_id}_{failure.kind}_{failure.index}.jpg"
        write_crop(self._image, window, folder / name)
        return Card(
            kind=kind,
            sample_id=card.sample_id,
            time=card.time,
            stamp_ns=card.stamp_ns,
            severity=card.severity,
            facts=(*fact, *card.facts),
            crop=name,
            size=window.size,
            shapes=tuple(self._shapes(set(main), window)),
        )

    def _involved(self, failure: Failure) -> tuple[list[tuple[str, int]], str, tuple[str, ...]]:
        """Instances that a failure is about, its kind by their masks, and a fact about them."""
        if failure.kind in ("over", "duplicate"):
            whole = ("truth", failure.index)
            parts = self._parts(whole, "prediction", "over")
            shares = [self._share(whole, part) for part in parts]
            kind = "duplicate" if max(shares, default=0.0) >= PART_SHARE else "over"
            fact = f"{len(parts)} predictions cover " + ", ".join(f"{s:.0%}" for s in shares)
            return [whole, *parts], kind, (fact,) if parts else ()
        if failure.kind == "under":
            whole = ("prediction", failure.index)
            parts = self._parts(whole, "truth", "under")
            return [whole, *parts], "under", (f"{len(parts)} objects in one mask",)
        if failure.kind == "missed":
            return [("truth", failure.index)], "missed", ()
        main = [("prediction", failure.index)]
        if failure.kind == "likely_over":
            partner = self._rows["prediction", failure.index]["partner"]
            main += [("prediction", partner)] if partner is not None else []
        return main, failure.kind, ()

    def _parts(self, whole: tuple[str, int], layer: str, outcome: str) -> list[tuple[str, int]]:
        """Instances of the other side that lie in a mask and have this outcome."""
        out = []
        for key, mask in self._masks.items():
            if key[0] == layer and self._rows[key]["seed_outcome"] == outcome and mask.area:
                shared = int(intersection_areas([mask], [self._masks[whole]])[0, 0])
                if shared >= PART_SHARE * mask.area:
                    out.append(key)
        return out

    def _share(self, whole: tuple[str, int], part: tuple[str, int]) -> float:
        shared = int(intersection_areas([self._masks[whole]], [self._masks[part]])[0, 0])
        return shared / max(1, self._masks[whole].area)

    def _shapes(self, main: set[tuple[str, int]], window: Window) -> Iterator[Shape]:
        """Outlines of objects, those that the card is about last, on top."""
        objects = [key for key in self._masks if self._rows[key]["class_id"] == OBJECT]
        for key in sorted(objects, key=lambda key: (key in main, *key)):
            role = "main" if key in main else "context"
            path = outline(self._masks[key], window, TOLERANCES_PX[role])
            if path:
                score = self._rows[key]["score"]
                yield Shape(key[0], role, path, "" if score is None else f"{score:.2f}")
