# SPDX-License-Identifier: Apache-2.0
"""Chosen pictures as Label Studio tasks with brush masks: ``tasks.json``, ``label_config.xml``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from armseg_ros.data.labelling.chosen import Chosen, write_picture
from armseg_ros.types import CLASS_NAMES, Mask

LABEL_CONFIG = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="label" toName="image">
    <Label value="Object" background="#00c853"/>
    <Label value="Tote" background="#ffab00"/>
  </BrushLabels>
</View>
"""
_WORD_BITS = 8
_RUN_BITS = (3, 4, 8, 16)  # choices for the length of a run, by two bits each


def write_label_studio(pictures: Iterable[Chosen], folder: Path, url_prefix: str) -> int:
    """Write the pictures and their tasks, in the order of the selection.

    What a model found becomes a prediction with its mean score, ground truth an annotation.

    Args:
        pictures: The pictures.
        folder: Where they go.
        url_prefix: What stands before the name of a picture in the tasks, such as
            ``/data/local-files/?d=OUT/images/`` for local storage.

    Returns:
        Number of pictures.
    """
    entries: list[tuple[int, dict[str, Any]]] = []
    for one in pictures:
        write_picture(one, folder / "images")
        entries.append((one.rank, _task(one, url_prefix)))
    entries.sort(key=lambda entry: entry[0])
    tasks = json.dumps([task for _, task in entries])
    (folder / "tasks.json").write_text(tasks, encoding="utf-8")
    (folder / "label_config.xml").write_text(LABEL_CONFIG, encoding="utf-8")
    return len(entries)


def _task(one: Chosen, url_prefix: str) -> dict[str, Any]:
    data = {"image": url_prefix + quote(one.name), "sample_id": one.pick.sample_id}
    task: dict[str, Any] = {"data": data | {"reason": one.pick.reason}}
    if one.labels is None:
        return task
    results = [
        _region(one, index) for index, mask in enumerate(one.labels.masks) if mask.area
    ]  # fmt: skip
    if one.scores is None:
        task["annotations"] = [{"result": results}]
    else:
        score = float(np.mean(one.scores)) if one.scores else 0.0
        task["predictions"] = [{"model_version": "armseg", "score": score, "result": results}]
    return task


def _region(one: Chosen, index: int) -> dict[str, Any]:
    assert one.labels is not None
    region = {
        "id": f"{one.item.image_id}_{index}",
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": one.hw[1],
        "original_height": one.hw[0],
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": encode_brush(one.labels.masks[index], one.hw),
            "brushlabels": [CLASS_NAMES[one.labels.class_ids[index]]],
        },
    }
    return region if one.scores is None else {**region, "score": one.scores[index]}


def encode_brush(mask: Mask, hw: tuple[int, int]) -> list[int]:
    """Encode a mask as Label Studio's brush does: packed runs of an RGBA picture, row by row.

    A stream of bits, most significant first: length in bytes (32 bits), bits of a word - 1 (5),
    four sizes of run lengths - 1 (4 each); then blocks of one bit (1: a run of one word), the
    number of the size (2), length - 1 in that many bits, and the word; zeros fill the last byte.

    Args:
        mask: The crop; it must lie inside the picture.
        hw: Height and width of the picture in pixels.

    Returns:
        Bytes as whole numbers, 0..255.
    """
    height, width = hw
    rows, columns = np.nonzero(mask.crop)
    pixels = np.sort((rows + mask.y) * width + columns + mask.x)
    breaks = np.flatnonzero(np.diff(pixels) != 1)
    starts = pixels[np.concatenate(([0], breaks + 1))] if len(pixels) else pixels
    ends = pixels[np.concatenate((breaks, [-1]))] + 1 if len(pixels) else pixels
    bits = [f"{4 * height * width:032b}{_WORD_BITS - 1:05b}"]
    bits += [f"{size - 1:04b}" for size in _RUN_BITS]
    position = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        bits += [_run(4 * (start - position), 0), _run(4 * (end - start), 255)]
        position = end
    bits.append(_run(4 * (height * width - position), 0))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _run(length: int, word: int) -> str:
    """Write a run as bits; one longer than 65536 words becomes several."""
    out = []
    while length > 0:
        now = min(length, 1 << _RUN_BITS[-1])
        size = next(k for k, bits in enumerate(_RUN_BITS) if now <= 1 << bits)
        out.append(f"1{size:02b}{now - 1:0{_RUN_BITS[size]}b}{word:08b}")
        length -= now
    return "".join(out)
