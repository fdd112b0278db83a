# SPDX-License-Identifier: Apache-2.0
"""Slices that split figures are reported on: tote colour, count, size, occlusion, brightness."""

from __future__ import annotations

import re
from typing import Any

from armseg_ros.evaluate.judged import JudgedPicture

# Upper edges; a value on an edge belongs below it.
OBJECT_COUNTS = (5, 10, 15)
OBJECT_SIZES = (0.01, 0.02, 0.04)  # mean mask area as a share of the picture
OCCLUSIONS = (0.0, 0.25, 0.5)  # pairs of boxes that overlap by more than 0.2, by objects
BRIGHTNESSES = (0.25, 0.5, 0.75)  # mean inside the objects, 0..1


def slices_of(judged: JudgedPicture, attributes: dict[str, Any]) -> dict[str, str]:
    """Say which slices a picture belongs to; empty where it belongs to none."""
    measured = judged.attributes
    named = attributes.get("tote_color")
    return {
        "tote_color": named if isinstance(named, str) else judged.tote_color,
        "object_count": _count_bin(measured.object_number),
        "object_size": value_bin(measured.object_avg_instance_size, OBJECT_SIZES),
        "occlusion": value_bin(measured.avg_obj_bbox_occlusions, OCCLUSIONS),
        "brightness": value_bin(measured.object_instances_mean, BRIGHTNESSES),
    }


def value_bin(value: float | None, edges: tuple[float, ...]) -> str:
    """Name the bin of a value, such as ``above 0.25 to 0.5``; empty for None."""
    if value is None:
        return ""
    low = None
    for edge in edges:
        if value <= edge:
            return f"up to {edge:g}" if low is None else f"above {low:g} to {edge:g}"
        low = edge
    return f"above {edges[-1]:g}"


def _count_bin(count: int) -> str:
    low = 0
    for edge in OBJECT_COUNTS:
        if count <= edge:
            return f"{low}-{edge}"
        low = edge + 1
    return f"{low}+"


def in_order(name: str) -> tuple[float, str]:
    """Sort key: bins by their first number, with ``up to`` before the rest; other names by text."""
    numbers = re.findall(r"\d+(?:\.\d+)?", name)
    if not numbers:
        return 0.0, name
    return float(numbers[0]) - (1e-9 if name.startswith("up to") else 0.0), name
