# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as the records that its scripts read and the text around them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa

from armseg_ros.errors import DataError
from armseg_ros.latent.cluster import cluster
from armseg_ros.latent.explorer.boxes import KINDS, Boxes
from armseg_ros.latent.explorer.records import column_record, encode, free_name, script
from armseg_ros.latent.explorer.thumbnails import PER_ROW, Thumbnails
from armseg_ros.latent.features import Population, run_names
from armseg_ros.latent.pool import input_record, make_pool
from armseg_ros.latent.predict import predict_errors
from armseg_ros.latent.project import Map, Neighbours

HERE = Path(__file__).parent
SCRIPTS = (
    "population.js", "colours.js", "points.js", "state.js", "map.js", "filters.js",
    "pictures.js", "details.js", "download.js", "main.js",
)  # fmt: skip
_OPEN_FILTERS = (
    "error", "predicted_error", "p_over", "p_under", "split", "verdict", "tote_color", "run",
    "labelled",
)  # fmt: skip
_ALSO_FIRST = (
    "selection", "pick_rank", "cluster", "centre_distance", "neighbour_distance", "object_count",
)  # fmt: skip
_TABLE = ("error", "predicted_error", "p_over", "p_under", "split", "tote_color", "object_count")
_UNUSUAL = 3  # neighbours whose mean distance says how unusual a picture is


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """Everything that a page shows.

    Attributes:
        population: The pictures.
        layout: Where they lie.
        near: Their neighbours.
        boxes: What the model found and missed in each.
        thumbnails: Small pictures, None where they are not wanted.
        seed: Of map and clusters.
    """

    population: Population
    layout: Map
    near: Neighbours
    boxes: Boxes
    thumbnails: Thumbnails | None
    seed: int

    @property
    def model_id(self) -> str:
        """Model of all runs."""
        return str(self.population.runs[0].summary["model"]["model_id"])

    def notes(self) -> tuple[str, ...]:
        """Say what is not shown and why, a sentence each."""
        notes = [f"{run.missing}." for run in self.population.runs if run.missing]
        left_out = [f"{count:,} {reason}" for reason, count in self.population.left_out.items()]
        if left_out:
            notes.append(f"Pictures left out: {', '.join(left_out)}.")
        if not self.population.labelled.any():
            notes.append("No picture has ground truth, so the error is not known.")
        of_thumbnails = self.thumbnails.notes if self.thumbnails is not None else ()
        return (*notes, *self.boxes.notes, *of_thumbnails)

    def scripts(self) -> dict[str, str]:
        """Make the data of the page: scripts by name, which set a constant each."""
        near = {
            "count": self.near.indices.shape[1],
            "indices": encode(self.near.indices),
            "distances": encode(self.near.distances),
        }
        boxes = {
            "names": KINDS,
            "starts": encode(self.boxes.starts),
            "edges": encode(self.boxes.edges),
            "kinds": encode(self.boxes.kinds),
        }
        values = {"population": _population_record(self), "neighbours": near, "boxes": boxes}
        return {name: script(name.upper(), value) for name, value in values.items()}

    def page(self, date: str) -> str:
        """Make ``index.html``; the date stands on a line of its own."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        names = run_names([run.folder for run in self.population.runs])
        return environment.get_template("explorer.html").render(
            title=", ".join(names),
            facts=_facts(self, names),
            notes=self.notes(),
            date=date,
            scripts=SCRIPTS,
        )


def _facts(content: Content, names: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    population = content.population
    distance = (
        f"Euclidean, between {population.reduced.shape[1]} principal components of the "
        f"{population.features.shape[1]} pooled features scaled to length 1 "
        f"({population.basis.explained.sum():.0%} of their variance)"
    )
    return (
        ("runs", ", ".join(names)),
        ("model", content.model_id),
        ("pictures", f"{len(population):,}, {int(population.labelled.sum()):,} labelled"),
        ("latent distance", distance),
        ("map", content.layout.method),
        ("seed", content.seed),
    )


def _population_record(content: Content) -> dict[str, Any]:
    population, thumbnails = content.population, content.thumbnails
    table = _with_latent_columns(population, content.near, content.seed)
    known = [name for name in table.column_names if table.column(name).null_count < len(table)]
    columns = [column_record(name, table.column(name)) for name in _in_order(known)]
    best = next((name for name in ("error", "p_over") if name in known), "")
    record: dict[str, Any] = {
        "runs": run_names([run.folder for run in population.runs]),
        "inputs": [input_record(run) for run in population.runs],
        "sampleIds": population.sample_ids,
        "imageIds": population.columns.column("image_id").to_pylist(),
        "runIndex": encode(population.run_index.astype(np.int16)),
        "positions": encode(content.layout.positions),
        "columns": columns,
        "thumbnails": None,
        "defaults": {
            "colour": best,
            "sort": best,
            "open": _OPEN_FILTERS,
            "table": _TABLE,
        },
    }
    if thumbnails is not None and thumbnails.count:
        record["thumbnails"] = {
            "width": thumbnails.width,
            "height": thumbnails.height,
            "perRow": PER_ROW,
            "count": thumbnails.count,
            "slots": encode(thumbnails.slots),
        }
    record["fingerprint"] = hashlib.sha256(script("X", record).encode()).hexdigest()
    return record


def _in_order(names: Sequence[str]) -> list[str]:
    """Put what people ask for first and the times of the stages last."""
    first = [name for name in (*_OPEN_FILTERS, *_ALSO_FIRST) if name in names]
    rest = [name for name in names if name not in first]
    return first + sorted(rest, key=lambda name: name.endswith("_ms"))


def _with_latent_columns(population: Population, near: Neighbours, seed: int) -> pa.Table:
    """Add what the latent space says of each picture."""
    groups = cluster(population.reduced, seed)
    columns: dict[str, Any] = {
        "predicted_error": _predicted_error(population),
        "cluster": pa.array([f"{label + 1}" for label in groups.labels]),
        "centre_distance": pa.array(groups.distances),
    }
    unusual = near.distances[:, :_UNUSUAL]
    if unusual.shape[1]:
        columns["neighbour_distance"] = pa.array(unusual.mean(axis=1))
    table = population.columns.drop_columns(["image_id"])
    for name, column in columns.items():
        table = table.append_column(free_name(table, name), column)
    return table


def _predicted_error(population: Population) -> pa.Array:
    """Predict errors as ``armseg select`` does; nothing where no picture is labelled."""
    nothing = pa.nulls(len(population), pa.float32())
    if not population.labelled.any():
        return nothing
    try:
        pool = make_pool(population)
    except DataError:  # the instances cannot be read, which is said with the boxes
        return nothing
    place_of = {key: k for k, key in enumerate(zip(pool.run, pool.sample_ids, strict=True))}
    keys = zip(population.run_index, population.sample_ids, strict=True)
    return pa.array(predict_errors(pool).errors[[place_of[key] for key in keys]])
