# SPDX-License-Identifier: Apache-2.0
"""Predicted masks of a few pictures, from a ``predictions.json`` of any length."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from armseg_ros.errors import DataError

FILES = ("predictions.json", "predictions_unlabelled.json")


def read_predictions(folder: Path, image_ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Read COCO results of some pictures line by line, each picture's in the order of the tables.

    Args:
        folder: Run folder.
        image_ids: The pictures.

    Raises:
        DataError: A line is not a COCO result.
    """
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for path in (folder / name for name in FILES):
        if path.is_file():
            _read(path, image_ids, found)
    return found


def _read(path: Path, image_ids: Collection[int], found: dict[int, list[dict[str, Any]]]) -> None:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line[line.find("{") : line.rfind("}") + 1]
            if not text:  # of an empty list
                continue
            try:
                # The number comes first: most lines need not be parsed further than that.
                image_id = int(text[text.index(":") + 1 : text.index(",")])
                if image_id in image_ids:
                    found[image_id].append(json.loads(text))
            except ValueError as error:
                raise DataError(
                    f"{path} line {number}: expected one COCO result, as 'armseg evaluate' writes "
                    "it; evaluate again"
                ) from error
