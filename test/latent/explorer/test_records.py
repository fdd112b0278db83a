# SPDX-License-Identifier: Apache-2.0
"""Columns as the page reads them."""

from __future__ import annotations

import base64
import json

import numpy as np
import pyarrow as pa

from armseg_ros.latent.explorer.records import column_record, encode, script


def column(values: list[object], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def decoded(text: str, kind: str) -> list[float]:
    return np.frombuffer(base64.b64decode(text), kind).tolist()


def test_counts_take_two_bytes_and_the_rest_four() -> None:
    record = column_record("count", column([3, None, -7]))
    assert (record["kind"], record["bytes"]) == ("number", 2)
    assert decoded(record["values"], "<i2") == [3, -32768, -7]
    record = column_record("share", column([0.25, None, 70000.0]))
    assert record["bytes"] == 4
    found = decoded(record["values"], "<f4")
    assert found[::2] == [0.25, 70000.0]
    assert np.isnan(found[1])


def test_levels_come_by_number_then_name() -> None:
    record = column_record("tote_color", column(["b", "a", None, "c", "c"]))
    assert record["levels"] == ["c", "a", "b"]
    assert decoded(record["codes"], "<i2") == [2, 1, -1, 0, 0]


def test_flags_become_words() -> None:
    record = column_record("labelled", column([True, None, False]))
    assert record["levels"] == ["no", "yes"]
    assert decoded(record["codes"], "<i2") == [1, -1, 0]
    assert record["about"]


def test_texts_of_many_values_stay_texts() -> None:
    names = [f"name {number}" for number in range(301)]
    record = column_record("name", column([*names, None]))
    assert record["kind"] == "text"
    assert record["values"] == [*names, None]


def test_a_column_of_nothing_known() -> None:
    assert decoded(column_record("p", column([None], pa.float32()))["values"], "<i2") == [-32768]
    assert column_record("t", column([None], pa.string()))["levels"] == []


def test_a_script_holds_any_text() -> None:
    value = {"x": "</script>\u2028\"\\'é"}
    text = script("DATA", value)
    assert json.loads(text.split("const DATA = ")[1].rstrip(";\n")) == value
    assert text.isascii()


def test_arrays_are_little_endian() -> None:
    assert base64.b64decode(encode(np.array([1], ">i4"))) == b"\x01\0\0\0"
