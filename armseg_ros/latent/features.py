# SPDX-License-Identifier: Apache-2.0
"""The pictures of one or more runs as points of the model's latent space."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run, read_run
from armseg_ros.latent.columns import describe, numbers
from armseg_ros.types import Float32Array

COMPONENTS = 50  # of the principal component analysis; more are noise to neighbours and clusters


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """A principal component analysis that was fitted.

    Attributes:
        mean: (D,) float32, subtracted first.
        axes: (C, D) float32, orthonormal, largest variance first.
        explained: (C,) float32, share of the variance along each axis, 0..1.
    """

    mean: Float32Array
    axes: Float32Array
    explained: Float32Array

    def reduce(self, features: Float32Array) -> Float32Array:
        """Project (N, D) normalised features to (N, C) float32."""
        return np.asarray((features - self.mean) @ self.axes.T, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Pictures as points of the latent space: run by run, each in the order of its source.

    Attributes:
        runs: The runs.
        run_index: (N,) int32, which of the runs each picture is of.
        sample_ids: N names, unique within a run.
        features: (N, D) float32, pooled features of the model, each of Euclidean length 1.
        reduced: (N, C) float32, their principal components: what distances are measured in.
        basis: How features become ``reduced``.
        columns: N rows, what is known of each picture; see ``latent.columns.describe``.
        left_out: How many pictures are not here, by reason.
    """

    runs: tuple[Run, ...]
    run_index: npt.NDArray[np.int32]
    sample_ids: tuple[str, ...]
    features: Float32Array
    reduced: Float32Array
    basis: Basis
    columns: pa.Table
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(N,) bool, which pictures have ground truth."""
        return np.asarray(self.values("labelled") == 1)

    def values(self, name: str) -> npt.NDArray[np.float64]:
        """Give a column of numbers or booleans as (N,) float64; NaN where it is null."""
        return numbers(self.columns.column(name))


def load_population(folders: Sequence[Path], *, seed: int = 0) -> Population:
    """Read runs of one model.

    Pictures without an answer, or whose features are not finite, are left out and counted.

    Args:
        folders: Run folders of ``armseg evaluate``.
        seed: Of the randomised solver that the principal component analysis takes for many rows.

    Raises:
        DataError: A folder holds no readable run or is named twice, no picture of a run has
            features, or the runs are of different models.
    """
    runs = tuple(read_run(folder) for folder in folders)
    _check_one_model(runs)
    names = run_names([run.folder for run in runs])
    parts = [_read_part(run, name) for run, name in zip(runs, names, strict=True)]
    _check_dimension(runs, [part.features for part in parts])
    features = _normalise(np.concatenate([part.features for part in parts]))
    basis = fit_basis(features, seed=seed)
    left_out: dict[str, int] = {}
    for part in parts:
        for reason, count in part.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    return Population(
        runs=runs,
        run_index=np.repeat(np.arange(len(runs)), [len(part.features) for part in parts]).astype(
            np.int32
        ),
        sample_ids=tuple(name for part in parts for name in part.sample_ids),
        features=features,
        reduced=basis.reduce(features),
        basis=basis,
        columns=concatenate([part.columns for part in parts]),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def fit_basis(features: Float32Array, *, components: int = COMPONENTS, seed: int = 0) -> Basis:
    """Fit a principal component analysis to (N, D) features, N >= 1.

    There are at most N - 1 and at most D components, but always one.
    """
    from sklearn.decomposition import PCA

    count, dimension = features.shape
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    wanted = min(components, max(count - 1, 1), dimension)
    if not np.ptp(features, axis=0).any():  # one picture, or the same one again and again
        return Basis(mean, np.eye(wanted, dimension, dtype=np.float32), np.zeros(wanted, "f4"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # shares of a variance of nearly nothing
        fitted = PCA(wanted, random_state=seed).fit(features)
    explained = np.nan_to_num(fitted.explained_variance_ratio_)
    return Basis(
        np.asarray(fitted.mean_, np.float32),
        np.asarray(fitted.components_, np.float32),
        np.asarray(explained, np.float32),
    )


def run_names(folders: Sequence[Path]) -> list[str]:
    """Name runs by as much of their paths as it takes to tell them apart.

    Raises:
        DataError: A folder is named twice.
    """
    paths = [folder.resolve() for folder in folders]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise DataError(f"{folders[index]} is named twice; name each run once")
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Put the columns of several runs below each other; null where a run lacks one.

    Columns of different kinds under one name become text.
    """
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            if not pa.types.is_null(field.type):
                kinds.setdefault(field.name, set()).add(field.type)
    fields = [pa.field(name, _common(found)) for name, found in kinds.items()]
    aligned = [
        pa.table(
            [
                table[field.name].cast(field.type)
                if field.name in table.column_names
                else pa.nulls(table.num_rows, field.type)
                for field in fields
            ],
            schema=pa.schema(fields),
        )
        for table in tables
    ]
    return pa.concat_tables(aligned).combine_chunks()


def _common(kinds: set[pa.DataType]) -> pa.DataType:
    if len(kinds) == 1:
        return next(iter(kinds))
    numeric = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
    return pa.float64() if numeric else pa.string()


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one run brings."""

    sample_ids: list[str]
    features: Float32Array
    columns: pa.Table
    left_out: dict[str, int]


def _read_part(run: Run, name: str) -> _Part:
    samples = run.samples
    answered = pc.equal(samples["status"], "answered")
    lengths = pc.fill_null(pc.list_value_length(samples["features"]), 0)
    usable = pc.and_(answered, pc.greater(lengths, 0))
    left_out = {
        "unanswered": samples.num_rows - _count(answered),
        "without features": _count(answered) - _count(usable),
    }
    if not _count(usable):
        raise DataError(_why_nothing(run, samples.num_rows, _count(answered)))
    samples = samples.filter(usable)
    features = _as_matrix(run, samples["features"])
    finite = np.isfinite(features).all(axis=1)
    left_out["features not finite"] = int((~finite).sum())
    if not finite.any():
        raise DataError(f"{run.folder}: none of its features is finite; evaluate the model again")
    samples = samples.filter(pa.array(finite))
    return _Part(
        samples["sample_id"].to_pylist(),
        features[finite],
        describe(samples, name, run.summary["data"]["split"]),
        left_out,
    )


def _why_nothing(run: Run, total: int, answered: int) -> str:
    if total == 0:
        return f"{run.folder}: this run has no pictures, so there is nothing to look at"
    if answered == 0:
        return f"{run.folder}: none of its {total} pictures was answered; evaluate it again"
    return (
        f"{run.folder}: {run.summary['model']['model_id']} answered without pooled features, so "
        "this run has no latent space; evaluate in process (not --live) with a model of "
        "'armseg export', which has an output named features"
    )


def _count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _as_matrix(run: Run, column: pa.ChunkedArray) -> Float32Array:
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) > 1:
        raise DataError(
            f"{run.folder}: its features have {sorted(lengths)} entries, expected one length; "
            "samples.parquet was not written by one run"
        )
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), lengths[0])


def _normalise(features: Float32Array) -> Float32Array:
    """Scale each row to Euclidean length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1), np.float32)


def _check_one_model(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.summary["model"]["model_id"] != first.summary["model"]["model_id"]:
            raise DataError(
                f"{run.folder} is of {run.summary['model']['model_id']}, but {first.folder} is of "
                f"{first.summary['model']['model_id']}; latent spaces of two models cannot be laid "
                "over each other, so name runs of one model"
            )


def _check_dimension(runs: Sequence[Run], parts: Sequence[Float32Array]) -> None:
    for run, part in zip(runs, parts, strict=True):
        if part.shape[1] != parts[0].shape[1]:
            raise DataError(
                f"{run.folder} has {part.shape[1]} features a picture, but {runs[0].folder} has "
                f"{parts[0].shape[1]}; name runs of one model"
            )
