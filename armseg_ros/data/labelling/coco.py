# SPDX-License-Identifier: Apache-2.0
"""Chosen pictures as a COCO folder: to train on, or to load into any tool that reads COCO."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import CATEGORIES
from armseg_ros.data.coco_records import truth_records
from armseg_ros.data.labelling.chosen import Chosen, write_picture


def write_coco(pictures: Iterable[Chosen], folder: Path, split: str) -> int:
    """Write ``SPLIT.json`` and ``images/``; pictures in the file have the order of the selection.

    A pre-label is an annotation with a ``score``, which ground truth has not. Where nothing is
    known of any picture the file has no ``annotations``, which marks it as unlabelled.

    Returns:
        Number of pictures.
    """
    entries: list[tuple[int, dict[str, Any], list[dict[str, Any]] | None]] = []
    for one in pictures:
        write_picture(one, folder / "images")
        image = one.item.attributes | {"id": one.item.image_id, "file_name": one.name}
        image |= {"height": one.hw[0], "width": one.hw[1], "reason": one.pick.reason}
        entries.append((one.rank, image, _annotations(one)))
    entries.sort(key=lambda entry: entry[0])
    document: dict[str, Any] = {
        "images": [image for _, image, _ in entries],
        "categories": [dict(category) for category in CATEGORIES],
    }
    if any(annotations is not None for _, _, annotations in entries):
        found = [record for _, _, annotations in entries for record in annotations or []]
        document["annotations"] = [{"id": n, **record} for n, record in enumerate(found, 1)]
    (folder / f"{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return len(entries)


def _annotations(one: Chosen) -> list[dict[str, Any]] | None:
    if one.labels is None:
        return None
    records = truth_records(one.labels, one.item.image_id, one.hw)
    if one.scores is not None:
        for record, score in zip(records, one.scores, strict=True):
            record["score"] = score
    return records
