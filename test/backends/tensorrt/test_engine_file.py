# SPDX-License-Identifier: Apache-2.0
"""Engine files: every kind is read, every other file is named for what it is, writing is atomic."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armseg_ros.backends.tensorrt import engine_file, lock
from armseg_ros.backends.tensorrt.engine_file import (
    MAGIC,
    EngineFile,
    decode_engine,
    encode_engine,
    read_engine,
    write_engine,
)
from armseg_ros.backends.tensorrt.engine_key import EngineKey
from armseg_ros.backends.tensorrt.environment import Device, Environment
from armseg_ros.backends.tensorrt.inspection import describe
from armseg_ros.backends.tensorrt.lock import exclusive
from armseg_ros.errors import BackendError

KEY = EngineKey("ab" * 32, "10.3.0", "Orin", "8.7", 8, 12060, "fp16", (448, 544), 3)
PLAN = b"ftrt" + bytes(range(256)) * 4
ENGINE = EngineFile(PLAN, key=KEY, class_names=("Object", "Tote"), self_test={"rows": [1, 2]})
OTHER = {
    "onnx_sha256": "cd" * 32,
    "tensorrt": "10.16.1",
    "gpu": "NVIDIA Thor",
    "compute_capability": "11.0",
    "multiprocessors": 20,
    "driver": 13000,
    "precision": "fp32",
    "network_hw": (640, 640),
    "optimization_level": 2,
    "builder_schema": 2,
}


def ours(header: bytes) -> bytes:
    """Put what is no header of ours where it belongs."""
    return MAGIC + len(header).to_bytes(4, "little") + header


def test_every_part_of_the_key_counts_and_is_explained() -> None:
    assert set(OTHER) == {field.name for field in fields(EngineKey)}
    assert KEY.mismatch(replace(KEY)) is None
    for name, value in OTHER.items():
        sentence = KEY.mismatch(replace(KEY, **{name: value}))
        assert sentence is not None, name
        assert sentence.startswith("was built ")
    several = KEY.mismatch(replace(KEY, tensorrt="10.16.1", driver=13020))
    assert several == (
        "was built by TensorRT 10.3.0 (here 10.16.1) and under a driver for CUDA 12.6 (here 13.2)"
    )


def test_a_key_survives_json_and_nonsense_does_not() -> None:
    assert EngineKey.from_json(json.loads(json.dumps(KEY.to_json()))) == KEY
    good = KEY.to_json()
    for bad in (
        None,
        [],
        {},
        {**good, "driver": "12"},
        {**good, "network_hw": [1]},
        {**good, "x": 1},
    ):
        with pytest.raises(BackendError, match="key of the engine"):
            EngineKey.from_json(bad)


@given(plan=st.binary(max_size=200), names=st.lists(st.text(max_size=5), max_size=3))
def test_what_is_written_is_read(plan: bytes, names: list[str]) -> None:
    engine = EngineFile(plan, key=KEY, class_names=tuple(names), dynamic=True, self_test={"a": 1})
    back = decode_engine(encode_engine(engine))
    assert (back.plan, back.key, back.class_names) == (plan, KEY, tuple(names))
    assert (back.kind, back.dynamic, back.self_test) == ("armseg", True, {"a": 1})


def test_foreign_engines_are_read() -> None:
    for magic in (b"ftrt", b"vtrt"):
        assert decode_engine(magic + b"..").kind == "bare"
    for names in ({"0": "Object", "1": "Tote"}, ["Object", "Tote"], "{1: 'Tote', 0: 'Object'}"):
        header = json.dumps({"stride": 32, "names": names}).encode()
        content = len(header).to_bytes(4, "little") + header + PLAN
        engine = decode_engine(content)
        assert (engine.kind, engine.plan) == ("ultralytics", PLAN)
        assert engine.class_names == ("Object", "Tote")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x08\x09\x12\x07pytorch", "is an ONNX model"),
        (b"PK\x03\x04......", "export it to ONNX"),
        (b"<html>404</html>", "is no engine"),
        (encode_engine(ENGINE)[:-1], r"cut short: \d+ of 1028 bytes"),
        (encode_engine(ENGINE)[:40], "header of the engine is damaged"),
        (MAGIC, "header of the engine is damaged"),
        (MAGIC + b"\x02\x00\x00\x00[]", "header of the engine is damaged"),
        (encode_engine(ENGINE)[:-1] + b"!", "sha256 is another one"),
        (ours(b'{"format": 1, "class_names": 7}'), "header of the engine is damaged"),
        (ours(b'{"format": 1, "self_test": []}'), "header of the engine is damaged"),
        (ours(b"[" * 100_000), "header of the engine is damaged"),
        (MAGIC + b"\x0d\x00\x00\x00" + b'{"format": 9}', "has format 9, this version reads 1"),
        (b"\x05\x00\x00\x00{oops", "Ultralytics"),
        (b"\xa5\x86\x01\x00" + b'{"a":' + b"[" * 100_000, "Ultralytics"),
        (b"\x02\x00\x00\x00{}nothing", "no engine follows"),
    ],
)
def test_everything_else_is_named_for_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.engine"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=said) as caught:
        read_engine(path)
    assert str(caught.value).startswith(str(path))


def test_a_write_that_fails_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "model.engine"
    write_engine(path, ENGINE)
    assert read_engine(path).plan == PLAN

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_file.os, "fsync", full)
    with pytest.raises(BackendError, match="No space left on device"):
        write_engine(path, EngineFile(b"ftrt", key=KEY))
    assert read_engine(path).plan == PLAN
    assert [file.name for file in path.parent.iterdir()] == ["model.engine"]


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path, order = tmp_path / "a.lock", []
    waiting, stop = threading.Event(), threading.Event()

    def second() -> None:
        with exclusive(path, stop, waiting.set):
            order.append("second")

    with exclusive(path, stop, lambda: pytest.fail("nobody holds it")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_waiting_for_the_lock_can_be_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    with (
        exclusive(tmp_path / "a.lock", stop, lambda: None),
        pytest.raises(BackendError, match="stopped while another process builds"),
        exclusive(tmp_path / "a.lock", stop, stop.set),
    ):
        time.sleep(0)


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with (
        pytest.raises(BackendError, match=r"a\.lock: cannot be locked \(No locks available\)"),
        exclusive(tmp_path / "a.lock", threading.Event(), lambda: None),
    ):
        pytest.fail("it is not locked")


def test_inspection_says_whether_it_fits() -> None:
    orin = Device("Orin", (8, 7), 8, True, 8 << 30, 4 << 30)
    here = Environment(12060, orin, "10.3.0", "2026.1", {})
    facts = dict(describe(ENGINE, here))
    assert facts["GPU"] == "Orin (sm_87, 8 multiprocessors)"
    assert facts["input"] == "448x544 px"
    assert facts["on this machine"] == "fits"
    newer = dict(describe(ENGINE, replace(here, tensorrt="10.16.1")))["on this machine"]
    assert newer == "does not fit: it was built by TensorRT 10.3.0 (here 10.16.1)"
    nothing = Environment(None, None, None, None, {"driver": "there is no driver"})
    assert dict(describe(ENGINE, nothing))["on this machine"].endswith("there is no driver")
    assert "unknown" in dict(describe(EngineFile(b"ftrt", "bare"), here))["on this machine"]
