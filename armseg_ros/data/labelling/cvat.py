# SPDX-License-Identifier: Apache-2.0
"""Chosen pictures in "CVAT for images 1.1": ``images/``, ``annotations.xml`` with exact masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from armseg_ros.data.labelling.chosen import Chosen, write_picture
from armseg_ros.types import CLASS_NAMES, TOTE, BoolArray


def write_cvat(pictures: Iterable[Chosen], folder: Path) -> int:
    """Write the pictures, and their labels as masks, with holes and several parts.

    Make a task of the pictures with the labels Object and Tote, then upload the annotations as
    "CVAT 1.1" (format: docs.cvat.ai, XML annotation format).

    Returns:
        Number of pictures.
    """
    entries: list[tuple[int, ET.Element]] = []
    for one in pictures:
        write_picture(one, folder / "images")
        entries.append((one.rank, _image(one)))
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    labels = ET.SubElement(ET.SubElement(ET.SubElement(root, "meta"), "task"), "labels")
    for name in CLASS_NAMES:
        ET.SubElement(ET.SubElement(labels, "label"), "name").text = name
    for number, (_, image) in enumerate(sorted(entries, key=lambda entry: entry[0])):
        image.set("id", str(number))
        root.append(image)
    ET.indent(root)
    path = folder / "annotations.xml"
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return len(entries)


def _image(one: Chosen) -> ET.Element:
    height, width = one.hw
    out = ET.Element("image", id="", name=one.name, width=str(width), height=str(height))
    if one.labels is None:
        return out
    for index, mask in enumerate(one.labels.masks):
        if not mask.area:
            continue
        ET.SubElement(
            out,
            "mask",
            label=CLASS_NAMES[one.labels.class_ids[index]],
            source="manual" if one.scores is None else "auto",
            occluded="0",
            rle=", ".join(str(run) for run in row_runs(mask.crop)),
            left=str(mask.x),
            top=str(mask.y),
            width=str(mask.crop.shape[1]),
            height=str(mask.crop.shape[0]),
            # Objects lie in the tote, so they are drawn over it and can be clicked.
            z_order="0" if one.labels.class_ids[index] == TOTE else "1",
        )
    return out


def row_runs(crop: BoolArray) -> list[int]:
    """Give the lengths of runs row by row, background first (0 where it begins with the mask)."""
    flat = crop.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return [0, *runs] if flat[0] else runs
