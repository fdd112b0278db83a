# SPDX-License-Identifier: Apache-2.0
"""Write a bag back as a COCO folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
from tqdm import tqdm

from armseg_ros.data.bag.read import BagDataset, BagItem, read_bag
from armseg_ros.data.coco import (
    CATEGORIES,
    SPLITS,
    resolve_inside,
)
from armseg_ros.data.coco_records import truth_records
from armseg_ros.data.image_header import read_header
from armseg_ros.data.images import IMAGE_SUFFIXES
from armseg_ros.data.source import Item
from armseg_ros.errors import DataError

_log = logging.getLogger(__name__)

_SUFFIX_OF_FORMAT = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif", "bmp": ".bmp"}
_LOSSY_SUFFIXES = (".jpg", ".jpeg")


def extract_coco(bag_path: Path, folder: Path, split: str | None = None) -> int:
    """Write the pictures and ground truth of a bag as one split of a COCO folder.

    Compressed pictures keep their bytes, raw ones become PNG. Pictures that are there already, from
    another split or an interrupted run, are taken if they are the same. A bag without ground truth
    gives a file without ``annotations``; unlabelled pictures of a bag that has some are left out,
    since COCO cannot tell them from empty ones.

    Args:
        bag_path: The bag.
        folder: COCO folder; made if needed, but it must not hold the split yet.
        split: ``train``, ``val`` or ``test``; None takes the bag's own, else ``test``.

    Returns:
        Number of pictures written.

    Raises:
        DataError: A picture or its ground truth is damaged, a name leaves the folder, or the
            split is there already.
    """
    bag = read_bag(bag_path)
    split = split or bag.split or "test"
    if split not in SPLITS:
        raise DataError(f"{bag_path}: split {split!r} is none of {', '.join(SPLITS)}; name one")
    path = folder / f"{split}.json"
    if path.exists():
        raise DataError(f"{path} exists already; choose another folder or remove it")
    document: dict[str, Any] = {"images": [], "categories": list(CATEGORIES)}
    if bag.has_truth:
        document["annotations"] = []
    for item in tqdm(bag, desc="extracting", unit="picture", disable=None):
        _extract_item(item, bag, folder, document)
    left_out = len(bag) - len(document["images"])
    if left_out:
        _log.warning("%s: left out %d pictures without ground truth", bag_path, left_out)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    temporary.rename(path)
    return len(document["images"])


def _extract_item(item: BagItem, bag: BagDataset, folder: Path, document: dict[str, Any]) -> None:
    frame, truth = item.frame(), item.truth()
    if bag.has_truth and truth is None:
        return
    name, content = picture_file(item)
    target = resolve_inside(folder / "images", name, bag.path)
    if target.exists() and target.read_bytes() != content:
        raise DataError(f"{target} exists already and is another picture; choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    height, width = frame.hw
    document["images"].append(
        item.attributes | {"id": item.image_id, "file_name": name, "height": height, "width": width}
    )
    if truth is not None:
        first = len(document["annotations"]) + 1
        records = truth_records(truth, item.image_id, frame.hw)
        document["annotations"] += [{"id": first + n, **r} for n, r in enumerate(records)]


def picture_file(item: Item) -> tuple[str, bytes]:
    """Give a picture of any source as a file: its name and bytes.

    A name gets the suffix of a picture where it has none, as a stamp. What kind of file a
    compressed picture is, its first bytes say: ``format`` of image_transport is a sentence, such
    as ``bgr8; jpeg compressed bgr8``. Raw pixels become PNG, for they must not become lossy.

    Raises:
        DataError: The picture is damaged.
    """
    encoded = getattr(item, "encoded", True)  # only a bag holds raw pixels
    suffix = PurePosixPath(item.sample_id).suffix.lower()
    named = suffix in IMAGE_SUFFIXES and (encoded or suffix not in _LOSSY_SUFFIXES)
    if encoded:
        content = item.content()
        added = "" if named else _SUFFIX_OF_FORMAT[read_header(content).format]
        return item.sample_id + added, content
    name = item.sample_id if named else item.sample_id + ".png"
    done, pixels = cv2.imencode(PurePosixPath(name).suffix, item.frame().image)
    if not done:
        raise DataError(f"{name} cannot be encoded as {PurePosixPath(name).suffix}")
    return name, pixels.tobytes()
