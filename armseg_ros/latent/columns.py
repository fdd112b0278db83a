# SPDX-License-Identifier: Apache-2.0
"""One table of everything that is known about the pictures of a run, a column a fact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Columns that are not a fact about a picture, or that come under another name.
_NOT_FACTS = {"sample_id", "stamp_ns", "reason", "attributes", "features", "fname"}
MOST_ATTRIBUTES = 60  # a page with more columns helps nobody; the most frequent ones stay


def picture_error(samples: pa.Table) -> npt.NDArray[np.float32]:
    """Give the share of objects that went wrong in each picture.

    The error is 1 - 2 TP / (2 TP + FP + missed), which is one minus the F1 of the picture's objects
    at the operating threshold and mask IoU 0.5.

    Args:
        samples: Rows of ``samples.parquet``.

    Returns:
        (N,) float32, 0..1; 0 where nothing was there and nothing was found, NaN where the picture
        is not labelled.
    """
    names = ("objects_true_positives", "objects_false_positives", "objects_missed")
    found, wrong, missed = (numbers(samples.column(name)) for name in names)
    total = 2 * found + wrong + missed
    error = 1 - np.divide(2 * found, total, out=np.ones_like(total), where=total != 0)
    return np.where(np.isnan(total), np.nan, error).astype(np.float32)


def numbers(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float64]:
    """Read a column of numbers or booleans as float64; NaN where it is null."""
    filled = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(filled, np.float64)


def describe(samples: pa.Table, run: str, split: str | None) -> pa.Table:
    """Put together the columns of one run.

    Args:
        samples: Rows of ``samples.parquet``; ``p_over``, ``p_under`` and ``verdict`` may be absent.
        run: Name of the run.
        split: Its split, None where it does not say.

    Returns:
        A table of as many rows. First ``error``, ``p_over``, ``p_under`` (float32, null where not
        known), ``verdict``, ``run``, ``split`` (string) and ``labelled`` (bool); then ``time_s``
        since the run's first picture, where its pictures have times; then the other columns of the
        samples and their attributes.
    """
    rows = samples.num_rows
    out: dict[str, pa.Array] = {
        "error": pa.array(picture_error(samples), pa.float32(), from_pandas=True),
        "p_over": _or_null(samples, "p_over", pa.float32()),
        "p_under": _or_null(samples, "p_under", pa.float32()),
        "verdict": _or_null(samples, "verdict", pa.string()),
        "run": pa.array([run] * rows, pa.string()),
        "split": pa.array([split] * rows, pa.string()),
        "labelled": _or_null(samples, "labelled", pa.bool_()),
    }
    if (time_s := _seconds(samples)) is not None:
        out["time_s"] = time_s
    for name in samples.column_names:
        if name not in _NOT_FACTS and name not in out:
            column = samples.column(name)
            if _is_plain(column.type):
                out[name] = _shrink(column)
    for name, column in _attributes(samples).items():
        out[name if name not in out else f"attributes.{name}"] = column
    return pa.table(out)


def _or_null(samples: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    if name not in samples.column_names:
        return pa.nulls(samples.num_rows, kind)
    return samples.column(name).cast(kind).combine_chunks()


def _seconds(samples: pa.Table) -> pa.Array | None:
    """Give the time since the first picture; None where the pictures have no time."""
    stamps = samples.column("stamp_ns").to_numpy().astype(np.int64)
    if not stamps.any():
        return None
    return pa.array((stamps - stamps.min()) / 1e9, pa.float64())


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
    )


def _shrink(column: pa.ChunkedArray) -> pa.Array:
    """Make NaN null, so that nothing has two ways to be absent."""
    if pa.types.is_floating(column.type):
        return pa.array(column.to_numpy(zero_copy_only=False), column.type, from_pandas=True)
    return column.combine_chunks()


def _attributes(samples: pa.Table) -> dict[str, pa.Array]:
    """Spread the attributes, JSON objects, over columns; what is no number or text becomes JSON."""
    if "attributes" not in samples.column_names:
        return {}
    records = [json.loads(text) if text else {} for text in samples["attributes"].to_pylist()]
    often = Counter(name for record in records for name in record)
    names = sorted(sorted(often), key=lambda name: -often[name])[:MOST_ATTRIBUTES]
    return {name: _attribute_column([record.get(name) for record in records]) for name in names}


def _attribute_column(values: Sequence[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float} and all(value is None or abs(value) < 1e300 for value in values):
        finite = [None if value is None else float(value) for value in values]
        return pa.array(finite, pa.float64(), from_pandas=True)
    return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
