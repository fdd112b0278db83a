# SPDX-License-Identifier: Apache-2.0
"""Figures on parts of the pictures, with bootstrap intervals: where a model is weak."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from armseg_ros.evaluate.measures import Interval, Measured, intervals
from armseg_ros.evaluate.slices import MOST_VALUES, OBJECT_COUNT, OBJECT_COUNT_BINS
from armseg_ros.evaluate.split_slices import (
    BRIGHTNESSES,
    OBJECT_SIZES,
    OCCLUSIONS,
    in_order,
    value_bin,
)

FEWEST_PICTURES = 30  # fewer say little: such a row is shown in grey
SLICE_DRAWS = 200
NAMES = ("object_mask_ap", "precision", "recall", "hoover_over_rate", "hoover_merged_rate")
# Columns that are measured on the picture, what they are called, and the edges of their bins.
EDGES = {
    "object_avg_instance_size": ("object size, share of the picture", OBJECT_SIZES),
    "avg_obj_bbox_occlusions": ("overlapping pairs by objects", OCCLUSIONS),
    "object_instances_mean": ("brightness of the objects", BRIGHTNESSES),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """One value of one attribute.

    Attributes:
        value: Of the attribute.
        pictures: Labelled pictures in it.
        objects: Ground truths of class Object in them.
        values: By name in ``NAMES``; NaN where not defined.
        intervals: 95 % intervals of these.
    """

    value: str
    pictures: int
    objects: int
    values: dict[str, float]
    intervals: dict[str, Interval]

    @property
    def is_small(self) -> bool:
        """Whether it holds too few pictures to say much."""
        return self.pictures < FEWEST_PICTURES


def slice_table(measured: Measured, samples: pa.Table) -> dict[str, list[Slice]]:
    """Give slices by attribute, first the one that tells most about AP.

    Args:
        measured: Of S pictures.
        samples: The rows of ``samples.parquet`` of the same S pictures, in the same order.
    """
    table = {
        name: [_slice(measured, value, members) for value, members in values.items()]
        for name, values in memberships(samples).items()
        if 1 < len(values) <= MOST_VALUES
    }
    return dict(sorted(table.items(), key=lambda entry: -_spread(entry[1])))


def _spread(slices: list[Slice]) -> float:
    """How far the slices are apart in AP, small ones aside: how much an attribute tells."""
    values = [s.values["object_mask_ap"] for s in slices if not s.is_small]
    values = [value for value in values if not np.isnan(value)]
    return max(values) - min(values) if values else -1.0


def _slice(measured: Measured, value: str, members: npt.NDArray[np.bool_]) -> Slice:
    part = measured.part(members)
    return Slice(
        value,
        int(members.sum()),
        int(part.sums["objects"].sum()),
        part.values(names=NAMES),
        intervals(part, NAMES, most_draws=SLICE_DRAWS),
    )


def memberships(samples: pa.Table) -> dict[str, dict[str, npt.NDArray[np.bool_]]]:
    """Say which of S pictures belong to which value of which attribute; (S,) bool each."""
    columns: dict[str, list[str]] = {OBJECT_COUNT: _count_bins(samples["objects_truth"])}
    for name, (title, edges) in EDGES.items():
        columns[title] = [value_bin(value, edges) for value in samples[name].to_pylist()]
    columns |= _recorded(samples["attributes"].to_pylist())
    out = {}
    for name, values in columns.items():
        array = np.array(values, object)
        present = sorted({value for value in values if value}, key=in_order)
        out[name] = {value: array == value for value in present}
    return out


def _recorded(attributes: list[str]) -> dict[str, list[str]]:
    """Attributes of the pictures' records that are text, flags or whole numbers."""
    out: dict[str, list[str]] = defaultdict(lambda: [""] * len(attributes))
    for row, text in enumerate(attributes):
        for name, value in json.loads(text or "{}").items():
            if name != OBJECT_COUNT and isinstance(value, (str, bool, int)):
                out[name][row] = str(value)
    return dict(sorted(out.items()))


def _count_bins(counts: pa.ChunkedArray) -> list[str]:
    lows = np.array([low for low, _ in OBJECT_COUNT_BINS])
    titles = [
        f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        for low, high in OBJECT_COUNT_BINS
    ]
    return [titles[int(np.searchsorted(lows, n, side="right")) - 1] for n in counts.to_pylist()]
