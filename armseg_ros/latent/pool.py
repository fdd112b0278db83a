# SPDX-License-Identifier: Apache-2.0
"""What a choice of pictures depends on, and nothing else, in sorted order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.data.selection import Pick
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run
from armseg_ros.evaluate.slices import MOST_VALUES, OBJECT_COUNT, bin_of
from armseg_ros.latent.features import Population
from armseg_ros.types import CLASS_NAMES, OBJECT, BoolArray, Float32Array, Int32Array

FOUND = "objects_found"
"""Slice by how many objects the model found; unlabelled pictures have it too."""
UNCERTAINTY = "uncertainty"
LOWEST_SCORE = 0.1
"""Detections below are noise of the curve's tail, of which every picture has some."""


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """One way to divide the pictures.

    Attributes:
        values: Names of the parts.
        codes: (N,) int32, part of each picture; -1 where it is in none.
    """

    values: tuple[str, ...]
    codes: Int32Array

    def counts(self, members: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Count pictures a part, (parts,); ``members`` is a (N,) mask or indices."""
        codes = self.codes[members]
        return np.bincount(codes[codes >= 0], minlength=len(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Pictures to choose from, sorted by run and name, so that the order of a source is no input.

    Attributes:
        inputs: What is known of each run.
        run: (N,) int32, run of each picture.
        sample_ids: N names.
        image_ids: (N,) int64 numbers.
        vectors: (N, C) float32 points of the latent space.
        errors: (N,) float32, 0..1, measured error; NaN where the picture is not labelled.
        evidence: Per name (N,) float32 of what the model says of itself, NaN where it does not:
            ``p_over``, ``p_under``, ``uncertainty`` (1 - mean score of the objects, 0..1) and
            ``objects_found``.
        slices: Ways to divide the pictures, by name.
    """

    inputs: tuple[dict[str, Any], ...]
    run: Int32Array
    sample_ids: tuple[str, ...]
    image_ids: npt.NDArray[np.int64]
    vectors: Float32Array
    errors: Float32Array
    evidence: dict[str, Float32Array]
    slices: dict[str, Slices]

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def labelled(self) -> BoolArray:
        """(N,) bool, which pictures have a measured error."""
        return np.isfinite(self.errors)

    def pick(self, index: int, reason: str, score: float | None = None) -> Pick:
        """Name picture ``index`` in a selection."""
        rounded = None if score is None else round(float(score), 6)
        image_id, run = int(self.image_ids[index]), int(self.run[index])
        return Pick(self.sample_ids[index], image_id, run, reason, rounded)

    def sha256(self) -> str:
        """Hash everything here but the folders that the runs lie in."""
        out = hashlib.sha256()
        data = [{k: v for k, v in record.items() if k != "run"} for record in self.inputs]
        texts: list[Any] = [data, self.sample_ids, sorted(self.evidence)]
        texts += [(name, s.values) for name, s in sorted(self.slices.items())]
        out.update(json.dumps(texts, sort_keys=True).encode())
        arrays: list[npt.NDArray[Any]] = [self.run, self.vectors, self.errors]
        arrays += [self.evidence[name] for name in sorted(self.evidence)]
        arrays += [s.codes for _, s in sorted(self.slices.items())]
        for array in arrays:
            out.update(np.ascontiguousarray(array).tobytes())
        return out.hexdigest()


def make_pool(population: Population, slices: Sequence[str] | None = None) -> Pool:
    """Take from a population what a choice depends on.

    Args:
        population: Pictures of one or more runs of one model.
        slices: Names of columns to divide the pictures by; None takes the attributes of 2 to 12
            values, and how many objects were found.

    Raises:
        DataError: A named column is not there.
    """
    order = np.lexsort((np.array(population.sample_ids), population.run_index))
    columns = population.columns.take(pa.array(order))
    uncertainty = np.concatenate(
        [
            mean_doubt(run, [population.sample_ids[i] for i in np.flatnonzero(of_run)])
            for run, of_run in (
                (run, population.run_index == number) for number, run in enumerate(population.runs)
            )
        ]
    )
    evidence = {name: _floats(columns, name) for name in ("p_over", "p_under")}
    evidence[UNCERTAINTY] = uncertainty[order]
    evidence[FOUND] = _floats(columns, "objects_predicted")
    return Pool(
        inputs=tuple(input_record(run) for run in population.runs),
        run=population.run_index[order],
        sample_ids=tuple(population.sample_ids[i] for i in order),
        image_ids=_image_ids(population)[order],
        vectors=np.ascontiguousarray(population.reduced[order]),
        errors=_floats(columns, "error"),
        evidence=evidence,
        slices=_slices(population, columns, slices),
    )


def input_record(run: Run) -> dict[str, Any]:
    """Say what a run was made from, as a selection file does."""
    return {
        "run": str(run.folder),
        "source": run.config.get("source"),
        "split": run.config.get("split"),
        "operating_threshold": run.summary["settings"]["operating_threshold"],
        "model_id": run.summary["model"]["model_id"],
        "content_sha256": run.summary["data"]["content_sha256"],
    }


def _image_ids(population: Population) -> npt.NDArray[np.int64]:
    """Look the numbers of the pictures up in the tables of the runs."""
    number_of = [
        dict(zip(run.samples["sample_id"].to_pylist(), run.samples["image_id"].to_pylist(),
                 strict=True))
        for run in population.runs
    ]  # fmt: skip
    pairs = zip(population.run_index, population.sample_ids, strict=True)
    return np.array([number_of[run][name] for run, name in pairs], np.int64)


def _floats(columns: pa.Table, name: str) -> Float32Array:
    values = columns[name].cast(pa.float32()).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32)


def mean_doubt(run: Run, sample_ids: Sequence[str]) -> Float32Array:
    """Give how unsure a model was of the objects that it found in each picture.

    Args:
        run: The run.
        sample_ids: Pictures of it.

    Returns:
        (len(sample_ids),) float32, 0..1: 1 - mean score of the detections of class Object above
        0.1; 1 where there is none. This is least confidence; the mean entropy of the scores is
        worse, since it forgives a picture that is full of objects of low score.
    """
    table = run.read_instances(["sample_id", "kind", "class_name", "score"])
    wanted = pc.and_(
        pc.and_(pc.equal(table["kind"], "prediction"), pc.greater(table["score"], LOWEST_SCORE)),
        pc.equal(table["class_name"], CLASS_NAMES[OBJECT]),
    )
    table = table.filter(wanted)
    place = pc.index_in(table["sample_id"], value_set=pa.array(sample_ids, pa.string()))
    known = pc.is_valid(place)
    rows = place.filter(known).to_numpy().astype(np.int64)
    score = table["score"].filter(known).to_numpy().astype(np.float64)
    total = np.bincount(rows, score, minlength=len(sample_ids))
    count = np.bincount(rows, minlength=len(sample_ids))
    return np.asarray(1 - total / np.maximum(count, 1), np.float32)


def _slices(
    population: Population, columns: pa.Table, names: Sequence[str] | None
) -> dict[str, Slices]:
    found = [None if value is None else bin_of(value) for value in
             columns["objects_predicted"].to_pylist()]  # fmt: skip
    if names is not None:
        unknown = [name for name in names if name not in columns.column_names and name != FOUND]
        if unknown:
            known = ", ".join(sorted({*_attribute_names(population), FOUND}))
            raise DataError(f"no picture has the attribute {', '.join(unknown)}; known are {known}")
    wanted = [*_attribute_names(population), FOUND] if names is None else names
    out = {}
    for name in sorted(set(wanted)):
        values = found if name == FOUND else columns[name].to_pylist()
        parts = _divide(values)
        if len(parts.values) > 1 and (names is not None or len(parts.values) <= MOST_VALUES):
            out[name] = parts
    return out


def _attribute_names(population: Population) -> set[str]:
    """Name the attributes of the sources; what evaluation derived from labels is not among them."""
    texts = {text for run in population.runs for text in run.samples["attributes"].to_pylist()}
    names = {name for text in texts if text for name in json.loads(text)} - {OBJECT_COUNT}
    return names & set(population.columns.column_names)


def _divide(values: Sequence[Any]) -> Slices:
    """Number the values of a column; null is in no part."""
    texts = [None if value is None else _as_text(value) for value in values]
    names = sorted({text for text in texts if text is not None})
    number = {name: index for index, name in enumerate(names)}
    codes = np.array([-1 if text is None else number[text] for text in texts], np.int32)
    return Slices(tuple(names), codes)


def _as_text(value: Any) -> str:
    """Write whole numbers without a decimal point, as in the slices of a report."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
