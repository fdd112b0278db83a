# SPDX-License-Identifier: Apache-2.0
"""Boxes of what was found, split, merged, missed and made up, to draw over a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.errors import DataError
from armseg_ros.latent.features import Population
from armseg_ros.types import OBJECT, Int32Array, Uint8Array

# By number; details.js has a colour for each.
KINDS = ("found", "false", "split", "merged", "missed", "predicted", "maybe split", "maybe merged")
_FOUND, _FALSE, _SPLIT, _MERGED, _MISSED, _PREDICTED, _MAYBE_SPLIT, _MAYBE_MERGED = range(8)
_LIKELY = 0.5  # probability from which a flag is shown
_EDGES = ("x_min", "y_min", "x_max", "y_max")
_COLUMNS = ("sample_id", "kind", "class_id", "operating", "outcome", "hoover_outcome")


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Objects at the operating threshold, picture by picture.

    Attributes:
        starts: (N + 1,) int32; those of picture k are starts[k] to starts[k + 1].
        edges: (M, 4) uint8 left, top, right, bottom; 255 is the right or lower border.
        kinds: (M,) uint8, place in ``KINDS``.
        notes: Sentences on runs without boxes.
    """

    starts: Int32Array
    edges: Uint8Array
    kinds: Uint8Array
    notes: tuple[str, ...]


def read_boxes(population: Population) -> Boxes:
    """Read the instances of the runs: predictions of objects, and objects that were missed."""
    notes: list[str] = []
    rows, edges, kinds = [np.empty(0, np.int64)], [np.empty((0, 4), np.uint8)], [np.empty(0, "u1")]
    first = 0
    for number, run in enumerate(population.runs):
        count = int((population.run_index == number).sum())
        names = pa.array(population.sample_ids[first : first + count], pa.string())
        try:
            table = _shown(run.read_instances([*_COLUMNS, "p_over", "p_under", *_EDGES]))
        except DataError as error:
            notes.append(f"No boxes of {run.folder.name}: {error}.")
            table = None
        if table is not None:
            found = pc.index_in(table["sample_id"], value_set=names)
            table = table.filter(pc.is_valid(found))
            rows.append(first + np.asarray(found.drop_null().to_numpy(), np.int64))
            edges.append(_edges(table, population, rows[-1]))
            kinds.append(_kinds(table))
        first += count
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(len(population) + 1)).astype(np.int32)
    return Boxes(starts, np.concatenate(edges)[order], np.concatenate(kinds)[order], tuple(notes))


def _shown(table: pa.Table) -> pa.Table:
    """Keep objects that the node would show, and those that it missed."""
    missed = pc.and_(pc.equal(table["kind"], "truth"), pc.equal(table["outcome"], "missed"))
    wanted = pc.or_(pc.fill_null(table["operating"], False), pc.fill_null(missed, False))
    return table.filter(pc.and_(wanted, pc.equal(table["class_id"], OBJECT)))


def _edges(table: pa.Table, population: Population, row: npt.NDArray[np.int64]) -> Uint8Array:
    """Write source pixels as shares of the picture, in one byte each."""
    pixels = np.column_stack([table[name].to_numpy() for name in _EDGES])
    sizes = np.column_stack([population.values(name)[row] for name in ("width", "height")])
    shares = np.nan_to_num(pixels / np.tile(sizes, 2))
    return np.asarray(np.round(255 * np.clip(shares, 0, 1)), np.uint8)


def _kinds(table: pa.Table) -> Uint8Array:
    """Tell what each box is; a split or merged object by Hoover's rule comes before found."""
    outcome, hoover, kind = (_texts(table, name) for name in ("outcome", "hoover_outcome", "kind"))
    over, under = (pc.fill_null(table[name], 0).to_numpy() for name in ("p_over", "p_under"))
    labelled = (outcome != "") | (hoover != "")
    choices = (
        (kind == "truth", _MISSED),
        (hoover == "over", _SPLIT),
        (hoover == "under", _MERGED),
        (outcome == "true_positive", _FOUND),
        (labelled, _FALSE),
        (over >= _LIKELY, _MAYBE_SPLIT),
        (under >= _LIKELY, _MAYBE_MERGED),
    )
    tests, values = zip(*choices, strict=True)
    return np.asarray(np.select(tests, values, _PREDICTED), np.uint8)


def _texts(table: pa.Table, name: str) -> npt.NDArray[Any]:
    return np.asarray(pc.fill_null(table[name], "").to_numpy(zero_copy_only=False), object)
