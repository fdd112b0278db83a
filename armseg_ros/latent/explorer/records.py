# SPDX-License-Identifier: Apache-2.0
"""Columns and arrays in the form that the page's scripts read: JSON with base64 in it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from armseg_ros.latent.columns import numbers

MOST_LEVELS = 300  # texts of more values are no categories: they are shown, not coloured or counted
_WHOLE = 32767  # largest whole number that is written in two bytes

ABOUT = {
    "error": "1 - F1 of the picture's objects at the operating threshold and mask IoU 0.5",
    "predicted_error": "error as armseg select predicts it, from other labelled pictures and flags",
    "p_over": "probability that an object was split in several, as the model's flags say",
    "p_under": "probability that several objects were merged into one, as the flags say",
    "verdict": "what the flags say of the whole picture",
    "run": "run folder",
    "labelled": "whether there is ground truth",
    "time_s": "seconds since the first picture of the run",
    "selection": "what the selection file says of the picture",
    "pick_rank": "place in the selection file, 1 is first",
    "cluster": "group of k-means in latent space",
    "centre_distance": "latent distance to the centre of the picture's cluster",
    "neighbour_distance": "mean latent distance to the three nearest pictures: large is unusual",
}


def free_name(table: pa.Table, name: str) -> str:
    """Give a name that no column has yet; attributes of pictures may have any."""
    while name in table.column_names:
        name = f"latent.{name}"
    return name


def encode(values: npt.NDArray[Any]) -> str:
    """Give the little-endian bytes of an array as base64."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return base64.b64encode(little.tobytes()).decode("ascii")


def script(name: str, value: Any) -> str:
    """Make a script that sets a constant; a page of a file may load scripts, but not JSON."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return f'"use strict";\nconst {name} = {text};\n'


def column_record(name: str, column: pa.ChunkedArray) -> dict[str, Any]:
    """Turn a column into the record that ``Column`` of ``population.js`` reads."""
    record: dict[str, Any] = {"name": name}
    if name in ABOUT:
        record["about"] = ABOUT[name]
    if pa.types.is_boolean(column.type):
        words = [None if value is None else ("no", "yes")[value] for value in column.to_pylist()]
        return record | _category(words, ["no", "yes"])
    if not pa.types.is_string(column.type):
        return record | _number(numbers(column))
    texts = column.to_pylist()
    counts = Counter(text for text in texts if text is not None)
    if len(counts) > min(MOST_LEVELS, max(len(texts) // 2, 10)):
        return record | {"kind": "text", "values": texts}
    return record | _category(texts, sorted(counts, key=lambda text: (-counts[text], text)))


def _number(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Write counts in two bytes each, all else as float32."""
    known = np.isfinite(values)
    whole = values[known]
    if (np.abs(whole) <= _WHOLE).all() and (whole == np.round(whole)).all():
        short = np.where(known, values, -_WHOLE - 1).astype(np.int16)
        return {"kind": "number", "bytes": 2, "values": encode(short)}
    return {
        "kind": "number",
        "bytes": 4,
        "values": encode(np.where(known, values, np.nan).astype(np.float32)),
    }


def _category(texts: list[str | None], levels: list[str]) -> dict[str, Any]:
    code_of: dict[str | None, int] = {text: code for code, text in enumerate(levels)}
    codes = np.array([code_of.get(text, -1) for text in texts], np.int16)
    return {"kind": "category", "levels": levels, "codes": encode(codes)}
