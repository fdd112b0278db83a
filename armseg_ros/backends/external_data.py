# SPDX-License-Identifier: Apache-2.0
"""Where an ONNX file says that its weights lie, read before an engine follows it.

A model may name other files that hold its tensors. Newer engines refuse names that leave the
model's folder; older ones read whatever is named, so the names are held against the folder here.
Only the wire format of Protocol Buffers is walked: 24 bytes of a tensor are read, not its weights.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from armseg_ros.errors import BackendError, shown

_TENSOR, _ENTRY = "TensorProto", "StringStringEntryProto"
# Field numbers of onnx.proto through which a tensor can be reached.
_CHILDREN: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: _TENSOR,
        6: "GraphProto",
        10: _TENSOR,
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
_MOST_LEVELS = 100
_FIXED_BYTES = {1: 8, 5: 4}  # wire types of fixed size

Span = tuple[int, int]


def check_external_data(model: Path) -> None:
    """Refuse a model whose weights lie outside its own folder; links out of it count as outside.

    What is no ONNX file is left to the engine, which says so.

    Raises:
        BackendError: A location leaves the folder, or the file cannot be read.
    """
    try:
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            locations = set(_locations(data, (0, len(data)), "ModelProto", 0))
    except ValueError:  # empty, or no protocol buffer
        return
    except BackendError as error:
        raise BackendError(f"{model}: {error}") from error
    except OSError as error:
        raise BackendError(f"{model}: cannot be read: {error.strerror or error}") from error
    folder = model.parent.resolve()
    for location in sorted(locations):
        if not _is_inside(folder, location):
            raise BackendError(
                f"{model}: keeps weights in {shown(location)}, outside its own folder; export it "
                "as one file"
            )


def _is_inside(folder: Path, location: str) -> bool:
    try:
        return not Path(location).is_absolute() and (folder / location).resolve().is_relative_to(
            folder
        )
    except (OSError, ValueError, RuntimeError):  # no name of a file, or links in a circle
        return False


def _locations(data: mmap.mmap, span: Span, kind: str, level: int) -> Iterator[str]:
    """Yield the location of each tensor that lies elsewhere."""
    if level > _MOST_LEVELS:
        raise BackendError(f"nests graphs in more than {_MOST_LEVELS} levels")
    children = _CHILDREN[kind]
    for field, child in _fields(data, span):
        if field not in children:
            continue
        if children[field] != _ENTRY:
            yield from _locations(data, child, children[field], level + 1)
            continue
        pair = {number: data[start:end] for number, (start, end) in _fields(data, child)}
        if pair.get(1) == b"location":
            yield pair.get(2, b"").decode("utf-8", "replace")


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """Yield number and place of each length-delimited field."""
    position, end = span
    while position < end:
        key, position = _varint(data, position, end)
        wire_type = key & 7
        if wire_type == 0:
            _, position = _varint(data, position, end)
        elif wire_type == 2:
            length, position = _varint(data, position, end)
            if position + length > end:
                raise ValueError("a field leaves its message")
            yield key >> 3, (position, position + length)
            position += length
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise ValueError("a number has no end")
