# SPDX-License-Identifier: Apache-2.0
"""Show on the map what ``armseg select`` or ``armseg prune`` chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from armseg_ros.data.selection import Pick, Selection, read_selection
from armseg_ros.errors import DataError
from armseg_ros.latent.explorer.records import free_name
from armseg_ros.latent.features import Population
from armseg_ros.latent.pool import input_record

COLUMN, RANK = "selection", "pick_rank"


def with_picks(population: Population, path: Path) -> Population:
    """Add the columns ``selection`` (picked, dropped, neither) and ``pick_rank`` (1 is first).

    Args:
        population: Pictures of the runs that the selection was made from, or some of them.
        path: Selection file.

    Raises:
        DataError: It is no selection, or none of its pictures is here.
    """
    selection = read_selection(path)
    run_of = _runs_by_input(population, selection)
    row_of = {
        key: row
        for row, key in enumerate(zip(population.run_index, population.sample_ids, strict=True))
    }
    words = ["neither"] * len(population)
    ranks: list[int | None] = [None] * len(population)

    def mark(picks: tuple[Pick, ...], word: str) -> list[int]:
        keys = [(run_of.get(pick.run, -1), pick.sample_id) for pick in picks]
        rows = [row_of.get(key, -1) for key in keys]
        for row in rows:
            if row >= 0:
                words[row] = word
        return rows

    mark(selection.dropped, "dropped")
    for rank, row in enumerate(mark(selection.picks, "picked"), 1):
        if row >= 0:
            ranks[row] = rank
    if not any(ranks):
        raise DataError(f"{path}: none of its {len(selection.picks)} picks is in these runs")
    columns = population.columns
    for name, values in ((COLUMN, pa.array(words)), (RANK, pa.array(ranks, pa.int32()))):
        columns = columns.append_column(free_name(columns, name), values)
    return replace(population, columns=columns)


def _runs_by_input(population: Population, selection: Selection) -> dict[int, int]:
    """Find the run of each input: by its folder, else by the hash of its pictures and labels."""
    records = [input_record(run) for run in population.runs]
    found = {}
    for number, entry in enumerate(selection.inputs):
        for key in ("run", "content_sha256"):
            same = [k for k, record in enumerate(records) if record[key] == entry.get(key)]
            if same:
                found[number] = same[0]
                break
    return found
