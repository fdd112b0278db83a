# SPDX-License-Identifier: Apache-2.0
"""ARMBench's COCO folder: ``train.json``, ``val.json``, ``test.json`` beside ``images/``."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from armseg_ros.data.images import MAX_PIXELS
from armseg_ros.errors import DataError, one_line, shown
from armseg_ros.masks import LARGEST_COORDINATE, decode_full, mask_box
from armseg_ros.types import CLASS_NAMES, Instances, Mask

CATEGORIES = ({"id": 1, "name": "Tote"}, {"id": 2, "name": "Object"})
CATEGORY_ID_OF_CLASS = (2, 1)  # ARMBench's ids of CLASS_NAMES, in their order
LARGEST_ID = 2**63 - 1
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated picture of a COCO file; pixels and masks are read when asked for.

    Attributes:
        sample_id: ``file_name`` of the COCO file, relative to ``images/``.
        image_path: The picture on disk.
        image_id: Number of the picture in the COCO file.
        height: Pixels.
        width: Pixels.
        attributes: Further fields of the COCO image record, such as ``tote_color``.
        annotations: The COCO annotation records of the picture, checked.
    """

    sample_id: str
    image_path: Path
    image_id: int
    height: int
    width: int
    attributes: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]

    @property
    def truth(self) -> Instances:
        """Ground truth of the picture, decoded anew at each access; no annotation gives N = 0."""
        return decode_annotations(self.annotations, (self.height, self.width), self.sample_id)


@dataclass(frozen=True, slots=True, eq=False)
class CocoDataset:
    """One split of a COCO folder.

    Attributes:
        path: The annotation file.
        samples: Pictures in the order of the file.
        has_truth: False where the file has no ``annotations`` key: nothing can be scored.
    """

    path: Path
    samples: tuple[Sample, ...]
    has_truth: bool


def read_coco(source: Path, split: str | None = None) -> CocoDataset:
    """Read one split.

    Annotation ids are not used, so they may be missing or appear twice; whatever is written from
    a dataset is numbered anew.

    Args:
        source: The COCO folder, or an annotation file directly (``images/`` beside it).
        split: ``train``, ``val`` or ``test``; needed when ``source`` is a folder with several.

    Raises:
        DataError: The file is missing or not COCO, or a record names an unknown picture or
            category, repeats the id or name of a picture, holds a number that is not finite or an
            id beyond 64 bits, or leaves the folder.
    """
    path = _annotation_file(source, split)
    document = _load_json(path)
    class_of_category = _read_categories(document, path)
    annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
    images = {record["id"]: record for record in _image_records(document, path)}
    for record in document.get("annotations", []):
        checked = _check_annotation(record, images, class_of_category, path)
        annotations[record["image_id"]].append(checked)
    folder = path.parent / "images"
    samples = tuple(
        Sample(
            sample_id=record["file_name"],
            image_path=resolve_inside(folder, record["file_name"], path),
            image_id=image_id,
            height=record["height"],
            width=record["width"],
            attributes={
                key: value
                for key, value in record.items()
                if key not in ("id", "file_name", "height", "width")
            },
            annotations=tuple(annotations[image_id]),
        )
        for image_id, record in images.items()
    )
    return CocoDataset(path, samples, "annotations" in document)


def splits_in(folder: Path) -> tuple[str, ...]:
    """Name the splits that a COCO folder holds; none for any other path."""
    return tuple(split for split in SPLITS if (folder / f"{split}.json").is_file())


def decode_annotations(
    annotations: Sequence[dict[str, Any]], hw: tuple[int, int], where: str
) -> Instances:
    """Decode checked COCO annotation records of one picture.

    Boxes come from the masks; a record without segmentation keeps its own box as its mask.

    Raises:
        DataError: A segmentation cannot be decoded; the message names picture and annotation.
    """
    masks: list[Mask] = []
    for record in annotations:
        try:
            masks.append(_decode_mask(record, hw))
        except (DataError, ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"annotation {shown(record.get('id'))} of {where}: {one_line(error)}; "
                "mend or remove it"
            ) from error
    return Instances(
        boxes=np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4),
        class_ids=np.array([record["class_id"] for record in annotations], np.int32),
        masks=tuple(masks),
        crowd=np.array([bool(record.get("iscrowd", 0)) for record in annotations], np.bool_),
    )


def resolve_inside(folder: Path, name: str, where: Path) -> Path:
    """Join a name from a file to its folder.

    Raises:
        DataError: The name is absolute, climbs out with ``..`` or follows a link out of ``folder``.
    """
    parts = PurePosixPath(name)
    path = folder / parts
    outside = parts.is_absolute() or ".." in parts.parts or "\0" in name or not parts.parts
    try:
        outside = outside or not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle are a RuntimeError until 3.13
        raise DataError(
            f"{where}: file_name {shown(name)} leads nowhere: {one_line(error)}"
        ) from error
    if outside:
        raise DataError(
            f"{where}: file_name {shown(name)} leaves the folder {folder}; use a path in it"
        )
    return path


def _annotation_file(source: Path, split: str | None) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise DataError(f"{source}: no such COCO folder or annotation file")
    found = splits_in(source)
    if split is None and len(found) == 1:
        split = found[0]
    if split is None or split not in found:
        wanted = "train.json, val.json or test.json" if split is None else f"{split}.json"
        if not found:
            raise DataError(
                f"{source}: expected {wanted} in it, found none; name the folder of a COCO data set"
            )
        advice = "name the split (--split)" if split is None else "add it or name another folder"
        raise DataError(f"{source}: expected {wanted}, found {', '.join(found)}; {advice}")
    return source / f"{split}.json"


def _load_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file: {one_line(error)}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a COCO object, found a {type(document).__name__}")
    for key in ("images", "annotations", "categories"):
        if key in document and not isinstance(document[key], list):
            raise DataError(f"{path}: {key!r} must be a list")
    if "images" not in document:
        raise DataError(f"{path}: a COCO file needs 'images', found {shown(sorted(document))}")
    return document


def _read_categories(document: dict[str, Any], path: Path) -> dict[int, int]:
    """Map category id to class id by name (``Object``, ``Tote``; case does not matter)."""
    known = {name.lower(): class_id for class_id, name in enumerate(CLASS_NAMES)}
    out = {}
    for record in document.get("categories", []):
        name = str(record.get("name", "")).lower() if isinstance(record, dict) else ""
        if name not in known or not is_whole_number(record.get("id")):
            raise DataError(
                f"{path}: category {shown(record)} needs a whole number as id and a name that is "
                f"one of {', '.join(CLASS_NAMES)}"
            )
        out[record["id"]] = known[name]
    return out


def _image_records(document: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    seen_ids: set[int] = set()
    seen_names: set[str] = set()
    for record in document["images"]:
        if not isinstance(record, dict):
            raise DataError(f"{path}: an entry of 'images' is {shown(record)}, not an object")
        if not is_whole_number(record.get("id")) or not isinstance(record.get("file_name"), str):
            raise DataError(
                f"{path}: image record {shown(record)} needs a file_name and an integer id of "
                "64 bits"
            )
        if not record["file_name"].isprintable():
            raise DataError(
                f"{path}: image {record['id']} has the file_name {shown(record['file_name'])}"
            )
        if not can_be_written(record):
            raise DataError(
                f"{path}: image {record['id']} has an attribute with half a character (a lone "
                "surrogate), which no file can hold; mend or remove it"
            )
        for key in ("height", "width"):
            size = record.get(key)
            if not is_whole_number(size) or not 1 <= record[key] <= 65535:
                raise DataError(
                    f"{path}: image {record['id']} has {key} {shown(size)}, not 1 to 65535"
                )
        if record["height"] * record["width"] > MAX_PIXELS:
            raise DataError(
                f"{path}: image {record['id']} declares {record['height']}x{record['width']} "
                f"pixels, more than the {MAX_PIXELS // 10**6} million that are accepted"
            )
        if record["id"] in seen_ids or record["file_name"] in seen_names:
            raise DataError(
                f"{path}: image {record['id']} ({shown(record['file_name'])}) appears twice"
            )
        seen_ids.add(record["id"])
        seen_names.add(record["file_name"])
    records: list[dict[str, Any]] = document["images"]
    return records


def _check_annotation(
    record: Any, images: dict[int, Any], class_of_category: dict[int, int], path: Path
) -> dict[str, Any]:
    """Check one record and add its ``class_id``."""
    if not isinstance(record, dict):
        raise DataError(f"{path}: an entry of 'annotations' is {shown(record)}, not an object")
    where = f"{path}: annotation {shown(record.get('id'))}"
    for key in ("image_id", "category_id"):
        if not is_whole_number(record.get(key)):
            raise DataError(f"{where} has {key} {shown(record.get(key))}, expected a whole number")
    if record["image_id"] not in images:
        raise DataError(f"{where} names image {record.get('image_id')}, which is not in 'images'")
    if record["category_id"] not in class_of_category:
        raise DataError(
            f"{where} names category {record.get('category_id')}, "
            f"known are {sorted(class_of_category)}"
        )
    box = record.get("bbox")
    if box is not None and not _is_box(box):
        raise DataError(f"{where} has bbox {shown(box)}, expected four finite numbers x, y, w, h")
    if box is None and not record.get("segmentation"):
        raise DataError(f"{where} has neither bbox nor segmentation")
    return {**record, "class_id": class_of_category[record["category_id"]]}


def is_whole_number(value: Any) -> bool:
    """Whether a value from a file is an integer that tables can hold: 64 bits with sign."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -LARGEST_ID - 1 <= value <= LARGEST_ID
    )


def can_be_written(record: dict[str, Any]) -> bool:
    """Whether all texts of a JSON object are Unicode; JSON can spell halves of characters."""
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(v, (int, float)) and abs(v) <= LARGEST_COORDINATE for v in box)
        and box[2] >= 0
        and box[3] >= 0
    )


def _decode_mask(record: dict[str, Any], hw: tuple[int, int]) -> Mask:
    segmentation = record.get("segmentation")
    if segmentation:
        return decode_full(segmentation, hw)
    x, y, width, height = record["bbox"]
    left, right = (min(hw[1], max(0, round(v))) for v in (x, x + width))
    top, bottom = (min(hw[0], max(0, round(v))) for v in (y, y + height))
    return Mask(np.ones((bottom - top, right - left), bool), left, top)


def safe_name(sample_id: str) -> str:
    """Turn a sample id into one file-name part: letters, digits, ``.``, ``_`` and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", sample_id).lstrip(".") or "_"
