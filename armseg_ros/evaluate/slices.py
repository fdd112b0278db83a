# SPDX-License-Identifier: Apache-2.0
"""Object figures on parts of the pictures: by an attribute, and by how full the tote is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from armseg_ros.evaluate.coco import CocoScorer
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.types import OBJECT

MOST_VALUES = 12  # an attribute with more values than this names pictures rather than groups them
OBJECT_COUNT = "object_count"
OBJECT_COUNT_BINS = ((0, 0), (1, 5), (6, 10), (11, 15), (16, 20), (21, None))


class SliceIndex:
    """Remembers which pictures belong to which slice."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(self, result: FrameResult) -> None:
        """Add a labelled picture; attributes that are no text, flag or whole number are left.

        An attribute ``object_count`` is left too: the ground truth itself is counted.
        """
        if result.truth is None:
            return
        for name, value in result.attributes.items():
            if name != OBJECT_COUNT and isinstance(value, (str, bool, int)):
                self._members[name][str(value)].append(result.image_id)
        objects = int(np.count_nonzero((result.truth.class_ids == OBJECT) & ~result.truth.crowd))
        self._members[OBJECT_COUNT][bin_of(objects)].append(result.image_id)

    def state(self) -> dict[str, dict[str, list[int]]]:
        """Give what was collected as plain values, for ``take``."""
        return {name: dict(values) for name, values in self._members.items()}

    def take(self, state: dict[str, dict[str, list[int]]], numbers: dict[int, int]) -> None:
        """Add what another index collected; ``numbers`` are the new numbers of its pictures."""
        for name, values in state.items():
            for value, image_ids in values.items():
                self._members[name][value] += [numbers[i] for i in image_ids]

    def figures(self, scorer: CocoScorer) -> dict[str, dict[str, Any]]:
        """Give Object mask figures by attribute and value; one value alone is no slice."""
        return {
            name: {
                value: {
                    "pictures": len(values[value]),
                    **asdict(scorer.figures_on(values[value], OBJECT)),
                }
                for value in _in_order(values)
            }
            for name, values in sorted(self._members.items())
            if 1 < len(values) <= MOST_VALUES
        }


def bin_of(count: int) -> str:
    """Name the bin of a number of objects, such as ``6-10``."""
    for low, high in OBJECT_COUNT_BINS:
        if high is None:
            break
        if low <= count <= high:
            return str(low) if low == high else f"{low}-{high}"
    return f"{low}+"


def _in_order(values: Iterable[str]) -> list[str]:
    """Sort by leading number where all have one, else by text."""
    heads = {value: value.rstrip("+").split("-")[0] for value in values}
    if all(head.isdigit() for head in heads.values()):
        return sorted(heads, key=lambda value: int(heads[value]))
    return sorted(heads)
