# SPDX-License-Identifier: Apache-2.0
"""Pictures of the proof: synthetic totes, and COCO folders that hold some of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from armseg_ros.synthetic.write import write_coco

SERIES = {
    "base": (120, 31, (560, 468), "train"),  # trains the model that is asked
    "pool": (360, 401, (320, 268), "train"),  # what it is asked about; it has not seen them
    "val": (120, 21, (560, 468), "val"),  # what retrained models are measured on
}
"""Number of pictures, seed, width and height, split."""


def render(folder: Path) -> None:
    """Render the pictures; what is there already is kept."""
    for name, (count, seed, size, split) in SERIES.items():
        target = folder / name
        write_coco(target, count, seed, size, split={split: 1.0}, resume=target.exists())


def write_subset(folder: Path, name: str, sample_ids: Iterable[str]) -> Path:
    """Write ``sets/NAME``: a COCO folder with ``train.json`` of some of the pool."""
    out = folder / "sets" / name
    out.mkdir(parents=True, exist_ok=True)
    document = json.loads((folder / "pool" / "train.json").read_text(encoding="utf-8"))
    wanted = set(sample_ids)
    document["images"] = [r for r in document["images"] if r["file_name"] in wanted]
    numbers = {record["id"] for record in document["images"]}
    document["annotations"] = [r for r in document["annotations"] if r["image_id"] in numbers]
    (out / "train.json").write_text(json.dumps(document), encoding="utf-8")
    if not (out / "images").exists():
        (out / "images").symlink_to((folder / "pool" / "images").resolve())
    return out
