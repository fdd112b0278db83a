# SPDX-License-Identifier: Apache-2.0
"""Engine files: ours with a key in front, bare plans, and plans behind Ultralytics' metadata.

Ours is 8 bytes ``ARMSGTRT``, the length of a JSON text as little-endian uint32, that text, and the
plan as TensorRT serialised it. The text holds key, class names, self-test, and length and sha256 of
the plan, so that a file cut short is named as such before TensorRT sees it.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from armseg_ros.backends.tensorrt.engine_key import EngineKey
from armseg_ros.errors import BackendError

MAGIC = b"ARMSGTRT"
FORMAT = 1
LENGTH_BYTES = 4
LONGEST_HEADER = 16 << 20  # bytes; a real one has some 30 kB
GIT_LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True, eq=False)
class EngineFile:
    """An engine as it lies on disk.

    Attributes:
        plan: What TensorRT serialised.
        kind: Whose file it is.
        key: What the engine depends on; None where the file does not say.
        class_names: Names by class id; empty where the file does not say.
        dynamic: True where the ONNX file left the size open and the engine fixed it.
        self_test: What ``selftest`` stored; empty in foreign files.
    """

    plan: bytes
    kind: Literal["armseg", "ultralytics", "bare"] = "armseg"
    key: EngineKey | None = None
    class_names: tuple[str, ...] = ()
    dynamic: bool = False
    self_test: Mapping[str, Any] = field(default_factory=dict)


def encode_engine(engine: EngineFile) -> bytes:
    """Make the bytes of a file of ours."""
    header = json.dumps(
        {
            "format": FORMAT,
            "key": None if engine.key is None else engine.key.to_json(),
            "class_names": list(engine.class_names),
            "dynamic": engine.dynamic,
            "plan_bytes": len(engine.plan),
            "plan_sha256": hashlib.sha256(engine.plan).hexdigest(),
            "self_test": dict(engine.self_test),
        }
    ).encode()
    return MAGIC + len(header).to_bytes(LENGTH_BYTES, "little") + header + engine.plan


def decode_engine(content: bytes) -> EngineFile:
    """Read a file of ours, of Ultralytics, or a bare plan.

    Raises:
        BackendError: It is none of them or damaged; the message says what it seems to be.
    """
    if content.startswith(MAGIC):
        return _decode_ours(content)
    if is_bare_plan(content):
        return EngineFile(content, "bare")
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if content[LENGTH_BYTES : LENGTH_BYTES + 1] == b"{" and length <= LONGEST_HEADER:
        return _decode_ultralytics(content, length)
    raise BackendError(_what_it_is(content))


def is_bare_plan(content: bytes) -> bool:
    """Whether bytes begin as a serialised engine: ``ftrt`` in TensorRT, ``vtrt`` in its RTX kin."""
    return content[1:4] == b"trt"


def read_engine(path: Path) -> EngineFile:
    """Read an engine file.

    Raises:
        BackendError: It is missing or no engine.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        return decode_engine(content)
    except BackendError as error:
        raise BackendError(f"{path}: {error}") from error


def write_engine(path: Path, engine: EngineFile) -> None:
    """Write an engine so that a reader, a full disk or a kill never meets half of it.

    Raises:
        BackendError: It cannot be written; a former file is as it was.
    """
    write_atomic(path, encode_engine(engine))


def write_atomic(path: Path, content: bytes) -> None:
    """Write to a temporary file beside it, sync, rename, sync the folder.

    Raises:
        BackendError: Writing failed; a former file is as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BackendError(
            f"{path}: cannot be written ({error.strerror}); free some space, or name another "
            "place for engines"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _decode_ours(content: bytes) -> EngineFile:
    start = len(MAGIC) + LENGTH_BYTES
    length = int.from_bytes(content[len(MAGIC) : start], "little")
    header, plan = content[start : start + length], content[start + length :]
    try:
        facts = json.loads(header)
        if not isinstance(facts, dict):
            raise ValueError("not a JSON object")
        names, self_test = facts.get("class_names", []), facts.get("self_test", {})
        if not isinstance(names, list) or not isinstance(self_test, dict):
            raise ValueError("not a list of names, or not an object")
    except (ValueError, RecursionError) as error:
        raise BackendError("the header of the engine is damaged; build it again") from error
    if facts.get("format") != FORMAT:
        raise BackendError(
            f"the engine has format {facts.get('format')!r}, this version reads {FORMAT}; "
            "build it again"
        )
    if len(plan) != facts.get("plan_bytes"):
        raise BackendError(
            f"the engine is cut short: {len(plan)} of {facts.get('plan_bytes')} bytes are there; "
            "copy it again or build it again"
        )
    if hashlib.sha256(plan).hexdigest() != facts.get("plan_sha256"):
        raise BackendError("the engine is damaged: its sha256 is another one; build it again")
    return EngineFile(
        plan,
        "armseg",
        None if facts.get("key") is None else EngineKey.from_json(facts["key"]),
        tuple(str(name) for name in names),
        bool(facts.get("dynamic")),
        self_test,
    )


def _decode_ultralytics(content: bytes, length: int) -> EngineFile:
    """Read 4 bytes of length, a JSON object, and the plan."""
    header, plan = content[LENGTH_BYTES : LENGTH_BYTES + length], content[LENGTH_BYTES + length :]
    try:
        facts = json.loads(header)
        names = facts.get("names", {})
        if isinstance(names, str):
            names = ast.literal_eval(names)
        if isinstance(names, dict):  # JSON made texts of the class ids
            ordered = sorted(names.items(), key=lambda item: int(item[0]))
            names = [name for _, name in ordered]
        names = tuple(str(name) for name in names)
    except (
        *(ValueError, SyntaxError, AttributeError, TypeError),
        *(MemoryError, RecursionError),  # of brackets that nest a thousand deep
    ) as error:
        raise BackendError(
            "the metadata that Ultralytics puts before an engine are damaged; export it again"
        ) from error
    if not is_bare_plan(plan):
        raise BackendError(
            f"no engine follows the {length} bytes of Ultralytics' metadata; export it again"
        )
    return EngineFile(plan, "ultralytics", None, names)


def _what_it_is(content: bytes) -> str:
    """Guess from the first bytes what somebody passes for an engine."""
    if not content:
        return "the file is empty; copy it again or build it again"
    if content.startswith(GIT_LFS):
        return "this is a pointer of git-lfs, not the file itself; run git lfs pull"
    if content[:1] == b"\x08" and content[2:3] in (b"\x12", b":", b"B"):
        return "this is an ONNX model, not an engine; give it as the model itself"
    if content.startswith(b"PK\x03\x04"):
        return "this is a checkpoint of PyTorch or another archive; export it to ONNX first"
    return (
        f"this is no engine (it begins with {content[:8]!r}); "
        "expected one of armseg engine build, of trtexec or of Ultralytics"
    )
