# SPDX-License-Identifier: Apache-2.0
"""A COCO folder of two small drawn totes."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from armseg_ros.data.coco import CATEGORIES, CATEGORY_ID_OF_CLASS
from armseg_ros.masks import encode_full, tight_mask
from armseg_ros.types import OBJECT, TOTE

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_train_*.py"]  # test_pytorch.py reports it

HEIGHT, WIDTH = 128, 160
OBJECT_COLOURS = ((40, 200, 60), (200, 60, 40), (220, 220, 60), (180, 60, 200))


def draw_tote(index: int) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Return a picture and its visible instances as (class, mask)."""
    picture = np.full((HEIGHT, WIDTH, 3), 70, np.uint8)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    offset = 12 * index
    cv2.rectangle(picture, (8, 8), (WIDTH - 9, HEIGHT - 9), (150, 110, 30 + 90 * index), -1)
    cv2.rectangle(labels, (8, 8), (WIDTH - 9, HEIGHT - 9), 1, -1)
    shapes = (
        lambda image, value: cv2.rectangle(image, (20, 20 + offset), (60, 60 + offset), value, -1),
        lambda image, value: cv2.circle(image, (105 - offset, 45), 24, value, -1),
        lambda image, value: cv2.ellipse(image, (80, 95), (40, 14), 10, 0, 360, value, -1),
        lambda image, value: cv2.circle(image, (130, 90 - offset), 13, value, -1),
    )
    for number, (draw, colour) in enumerate(zip(shapes, OBJECT_COLOURS, strict=True)):
        draw(picture, colour)
        draw(labels, number + 2)
    classes = [TOTE] + [OBJECT] * len(shapes)
    return picture, [(c, labels == k + 1) for k, c in enumerate(classes)]


def write_coco(folder: Path, splits: tuple[str, ...] = ("train", "val"), count: int = 2) -> Path:
    """Write ``count`` totes with the same pictures in every split."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        picture, instances = draw_tote(index)
        name = f"tote_{index}.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": index, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for class_id, mask in instances:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": CATEGORY_ID_OF_CLASS[class_id],
                    "iscrowd": 0,
                    "segmentation": encode_full(tight_mask(mask), (HEIGHT, WIDTH)),
                }
            )
    document = {"images": images, "annotations": annotations, "categories": list(CATEGORIES)}
    for split in splits:
        (folder / f"{split}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def totes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("totes") / "coco")


@pytest.fixture
def changed_totes(totes: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with the same pictures and a changed train.json."""

    def make(change: Callable[[dict[str, Any]], object], name: str = "changed") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "images").symlink_to(totes / "images")
        document = json.loads((totes / "train.json").read_text())
        change(document)
        (folder / "train.json").write_text(json.dumps(document))
        return folder

    return make
