# SPDX-License-Identifier: Apache-2.0
"""The pictures of a selection, found in their source, with what is known to be in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from armseg_ros.data.bag.extract import picture_file
from armseg_ros.data.coco import CATEGORY_ID_OF_CLASS, resolve_inside
from armseg_ros.data.image_header import read_header
from armseg_ros.data.selection import Pick, Selection
from armseg_ros.data.source import Item, Source
from armseg_ros.errors import DataError
from armseg_ros.masks import decode_full, mask_box
from armseg_ros.types import Instances

_log = logging.getLogger(__name__)
_CLASS_OF_CATEGORY = {category: class_id for class_id, category in enumerate(CATEGORY_ID_OF_CLASS)}


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """One picture of a selection.

    Attributes:
        rank: Its place in the selection, 0-based.
        pick: Its record there.
        item: The picture in its source.
        name: Its file name, relative to ``images/``; with the suffix of its kind.
        content: The picture file.
        hw: Height and width in pixels.
        labels: Ground truth, or what the model found; None where neither is known.
        scores: Score of each label where the model found them; None for ground truth.
    """

    rank: int
    pick: Pick
    item: Item
    name: str
    content: bytes
    hw: tuple[int, int]
    labels: Instances | None
    scores: tuple[float, ...] | None


def check_source(selection: Selection, source: Source) -> int:
    """Say how many pictures of a selection a source has; those of another are named in the log.

    Raises:
        DataError: It has none.
    """
    wanted = chosen_names(selection, source)
    there = sum(item.sample_id in wanted for item in source)
    if not there:
        raise DataError(
            f"{source.path} has none of the {len(selection.picks)} chosen pictures"
            + (f", such as {selection.picks[0].sample_id}" if selection.picks else "")
            + "; name the source that was evaluated"
        )
    if there < len(selection.picks):
        _log.warning(
            "%s has %d of the %d chosen pictures; apply the selection to the other sources too",
            *(source.path, there, len(selection.picks)),
        )
    return there


def chosen(
    selection: Selection, source: Source, score_threshold: float | None = None
) -> Iterator[Chosen]:
    """Give the pictures of a selection that a source has, in the order of the source.

    Ground truth comes along where there is some; else the predictions of the run that the picture
    was chosen from, above a score.

    Args:
        selection: The selection.
        source: Where the pictures are.
        score_threshold: Lowest score of a pre-label; None takes each run's operating threshold.

    Raises:
        DataError: A picture or the predictions of a run cannot be read.
    """
    rank_of = chosen_names(selection, source)
    found = _predictions(selection, score_threshold)
    for item in source:
        rank = rank_of.get(item.sample_id)
        if rank is None:
            continue
        pick = selection.picks[rank]
        name, content = picture_file(item)
        resolve_inside(Path("images"), name, source.path)
        header = read_header(content)
        hw = header.height, header.width
        labels, scores = item.truth(), None
        if labels is None and pick.run in found:
            labels, scores = _instances(found[pick.run].get(pick.image_id, []), hw, name)
        yield Chosen(rank, pick, item, name, content, hw, labels, scores)


def chosen_names(selection: Selection, source: Source) -> dict[str, int]:
    """Give the place of each pick by its name in a source.

    Where a run says that it was made from this source, only its picks count, for two bags may hold
    pictures of one name. A run of several sources has their names before those of the pictures.
    """
    own = {number: _prefix(record, source) for number, record in enumerate(selection.inputs)}
    own = {number: prefix for number, prefix in own.items() if prefix is not None}
    out = {}
    for rank, pick in enumerate(selection.picks):
        prefix = own.get(pick.run) if own else ""
        if prefix is not None and pick.sample_id.startswith(prefix):
            out[pick.sample_id.removeprefix(prefix)] = rank
    return out


def _prefix(record: dict[str, Any], source: Source) -> str | None:
    """Give what a run put before the names of a source; None where it says nothing of it."""
    where = source.path.resolve()
    made_from = record["source"]
    if source.kind == "several":
        return None
    if isinstance(made_from, dict):
        return next((f"{n}/" for n, path in made_from.items() if Path(path) == where), None)
    if made_from is None or Path(made_from).resolve() != where:
        return None
    return "" if record["split"] in (None, source.split) else None


def write_picture(one: Chosen, folder: Path) -> Path:
    """Write a picture into a folder; return its path."""
    target = folder / PurePosixPath(one.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(one.content)
    return target


def _predictions(
    selection: Selection, score_threshold: float | None
) -> dict[int, dict[int, list[dict[str, Any]]]]:
    """Read the predictions on chosen pictures, by run and number of the picture."""
    wanted: dict[int, set[int]] = {}
    for pick in selection.picks:
        wanted.setdefault(pick.run, set()).add(pick.image_id)
    out = {}
    for run, numbers in wanted.items():
        record = selection.inputs[run]
        folder = Path(record["run"])
        lowest = record["operating_threshold"] if score_threshold is None else score_threshold
        paths = [folder / f"predictions{kind}.json" for kind in ("", "_unlabelled")]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            _log.warning("%s is not there any more, so there are no pre-labels", folder)
            continue
        by_picture: dict[int, list[dict[str, Any]]] = {}
        for path in paths:
            for image_id, score, found in _records(path):
                if image_id in numbers and score >= lowest:
                    by_picture.setdefault(image_id, []).append(found)
        out[run] = by_picture
    return out


def _records(path: Path) -> Iterator[tuple[int, float, dict[str, Any]]]:
    """Read a list of COCO results line by line, as an evaluation writes it, one record a line.

    Yields:
        Number of the picture, score and record.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                text = line.strip().lstrip("[").rstrip("],")
                if text:
                    record = json.loads(text)
                    yield record["image_id"], float(record["score"]), record
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the predictions of an evaluation: {error}") from error


def _instances(
    records: list[dict[str, Any]], hw: tuple[int, int], name: str
) -> tuple[Instances, tuple[float, ...]]:
    records = sorted(records, key=lambda record: -float(record["score"]))
    try:
        masks = tuple(decode_full(record["segmentation"], hw) for record in records)
        classes = [_CLASS_OF_CATEGORY[record["category_id"]] for record in records]
    except (DataError, KeyError) as error:
        raise DataError(f"the predictions on {name} do not fit it: {error}") from error
    instances = Instances(
        np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4),
        np.array(classes, np.int32),
        masks,
        np.zeros(len(masks), np.bool_),
    )
    return instances, tuple(round(float(record["score"]), 4) for record in records)
