# SPDX-License-Identifier: Apache-2.0
"""Write the pictures of a selection in one of several formats, whole or not at all."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from pathlib import Path

from tqdm import tqdm

from armseg_ros.data.bag import recut_bag, write_bag_from_coco
from armseg_ros.data.labelling.chosen import check_source, chosen, chosen_names
from armseg_ros.data.labelling.coco import write_coco
from armseg_ros.data.labelling.cvat import write_cvat
from armseg_ros.data.labelling.label_studio import write_label_studio
from armseg_ros.data.new_folder import new_folder
from armseg_ros.data.selection import Pick, Selection
from armseg_ros.data.source import Source
from armseg_ros.errors import DataError

FORMATS = ("coco", "cvat", "labelstudio", "csv", "bag")


def apply(
    selection: Selection,
    source: Source,
    output: Path,
    chosen_format: str,
    *,
    score_threshold: float | None = None,
    url_prefix: str | None = None,
) -> int:
    """Write the pictures of a selection that a source has.

    Args:
        selection: The selection.
        source: Where the pictures are.
        output: File (csv) or folder to make; it must not exist.
        chosen_format: One of ``FORMATS``.
        score_threshold: Lowest score of a pre-label; None takes each run's operating threshold.
        url_prefix: Label Studio: what stands before the name of a picture; None takes local
            storage whose root is the folder that ``output`` is in.

    Returns:
        Number of pictures.

    Raises:
        DataError: ``output`` exists, the source has none of the pictures, one of them cannot be
            read, or the format does not suit the source; nothing is left behind.
    """
    if output.exists():
        raise DataError(f"{output} exists already; choose another name or remove it")
    count = check_source(selection, source)
    output.parent.mkdir(parents=True, exist_ok=True)
    if chosen_format == "csv":
        return write_csv(selection, output)
    if chosen_format == "bag":
        return _write_bag(selection, source, output)
    pictures = chosen(selection, source, score_threshold)
    progress = tqdm(pictures, total=count, desc="writing", unit="picture", disable=None)
    with new_folder(output) as folder:
        if chosen_format == "cvat":
            return write_cvat(progress, folder)
        if chosen_format == "labelstudio":
            prefix = url_prefix or f"/data/local-files/?d={output.name}/images/"
            return write_label_studio(progress, folder, prefix)
        return write_coco(progress, folder, source.split or "train")


def write_csv(selection: Selection, path: Path) -> int:
    """Write all picks as a table: rank from 1, and the fields of a pick; return their number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["rank", *(field.name for field in fields(Pick))])
        writer.writeheader()
        for rank, pick in enumerate(selection.picks, 1):
            writer.writerow({"rank": rank, **asdict(pick)})
    return len(selection.picks)


def _write_bag(selection: Selection, source: Source, output: Path) -> int:
    keep = set(chosen_names(selection, source))
    if source.kind == "bag":
        return recut_bag(source.path, keep, output)
    if source.kind == "coco":
        return write_bag_from_coco(source.path, source.split, output, keep=keep)
    raise DataError("a bag is cut from one bag or COCO folder; name one, not several or pictures")
