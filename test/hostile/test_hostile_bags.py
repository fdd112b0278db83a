# SPDX-License-Identifier: Apache-2.0
"""Bags that name other files, define our messages anew, or are damaged anywhere."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

import bags
import numpy as np
import pytest
import totes
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from sentences import check_sentence

from armseg_ros.data.bag import read_bag
from armseg_ros.data.bag.storage import recorded_split
from armseg_ros.errors import DataError

STAMP = 1_700_000_000_000_000_000
TOTE = totes.instances([totes.box_mask(1, 1, 4, 3)], [1])
STRINGS = (
    "std_msgs/Header header\nstring image_height\nstring image_width\nstring sample_id\n"
    "string instances"
)
IMAGE, TRUTH, INFO = "/image/compressed", "/ground_truth", "/sample_info"


def small_bag(path: Path, storage: str, info: str | None = None) -> Path:
    """Write a bag of two labelled pictures."""
    record = {"stamp_ns": STAMP, "sample_id": "a.png", "image_id": 4, "attributes": {"k": 1}}
    text = bags.STORE.types["std_msgs/msg/String"](
        data=json.dumps(record) if info is None else info
    )
    return bags.write(
        path,
        [
            (INFO, "std_msgs/msg/String", STAMP, text),
            *((IMAGE, "sensor_msgs/msg/CompressedImage", STAMP + n, bags.compressed(STAMP + n))
              for n in range(2)),
            *((TRUTH, "armseg_ros/msg/InstanceArray", STAMP + n,
               bags.truth(STAMP + n, TOTE, (6, 8))) for n in range(2)),
        ],
        storage,
    )  # fmt: skip


def read_all(path: Path) -> int:
    """Read everything; a fault of one picture is a ``DataError`` of that picture."""
    good = 0
    for item in read_bag(path):
        try:
            item.content()
            item.frame()
            item.truth()
            good += 1
        except DataError as error:
            check_sentence(error)
    return good


@functools.cache
def files_of(storage: str) -> dict[str, bytes]:
    """Contents of a small bag by file name."""
    with tempfile.TemporaryDirectory() as folder:
        path = small_bag(Path(folder) / storage, storage)
        return {file.name: file.read_bytes() for file in path.iterdir()}


@given(st.sampled_from(["mcap", "sqlite3"]), st.booleans(), st.data())
@settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.generate],  # to shrink a database takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_damage_is_one_sentence(
    tmp_path: Path, storage: str, metadata: bool, data: st.DataObject
) -> None:
    path = tmp_path / storage
    path.mkdir(exist_ok=True)
    for name, content in files_of(storage).items():
        changed = bytearray(content)
        if (name == "metadata.yaml") == metadata:
            for _ in range(data.draw(st.integers(1, 3))):
                changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(
                    st.integers(0, 255)
                )
        (path / name).write_bytes(changed)
    try:
        read_all(path)
    except DataError as error:
        check_sentence(error)
    recorded_split(path)


@pytest.mark.parametrize("name", ["../outside.mcap", "/etc/passwd", "a/../../outside.mcap"])
def test_a_bag_cannot_name_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    path = small_bag(tmp_path / "bag", "mcap")
    (path / "bag.mcap").rename(tmp_path / "outside.mcap")
    text = (path / "metadata.yaml").read_text().replace("bag.mcap", name)
    (path / "metadata.yaml").write_text(text)
    with pytest.raises(DataError, match="not a readable bag"):
        read_all(path)


def test_metadata_that_unfolds_is_not_unfolded(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "bag", "mcap")
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    bomb += "rosbag2_bagfile_information: *a11\n"
    (path / "metadata.yaml").write_text(bomb)
    with pytest.raises(DataError) as caught:
        read_all(path)
    check_sentence(caught.value)
    assert recorded_split(path) is None


def write_defined(path: Path, message_type: str, definition: str, wire: bytes) -> Path:
    """Write a bag whose ``message_type`` is defined as the bag likes."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in ((IMAGE, "sensor_msgs/msg/CompressedImage"), (TRUTH, message_type)):
            own = kind == message_type
            connection = writer.add_connection(
                topic, kind, typestore=None if own else bags.STORE,
                msgdef=definition if own else None,
                rihs01="RIHS01_" + "0" * 64 if own else None,
            )  # fmt: skip
            content = bags.STORE.serialize_cdr(bags.compressed(STAMP), kind) if not own else wire
            writer.write(connection, STAMP, content)
    return path


@pytest.mark.parametrize(
    "definition",
    [
        STRINGS,
        STRINGS.replace("string instances", "std_msgs/Header[] instances"),
        "int8 __class__\n",
        "int8 a; import os\n",
        'string x=\'"""; import os; os.system("id"); """\'\n',
        "}" * 1000,
        "uint8[99999999999999999999] data\n",
    ],
)
def test_our_message_defined_anew_is_refused(tmp_path: Path, definition: str) -> None:
    wire = b"\0\1\0\0" + bytes(200)
    path = write_defined(tmp_path / "bag", "armseg_ros/msg/InstanceArray", definition, wire)
    with pytest.raises(DataError) as caught:
        read_all(path)
    check_sentence(caught.value)


def test_a_bag_has_no_say_in_standard_messages(tmp_path: Path) -> None:
    """A camera image defined without pixels is still read as what everybody knows."""
    lie = "std_msgs/Header header\nstring format\nstring data\n"
    wire = bytes(
        bags.STORE.serialize_cdr(bags.compressed(STAMP), "sensor_msgs/msg/CompressedImage")
    )
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            IMAGE, "sensor_msgs/msg/CompressedImage", typestore=None,
            msgdef=lie, rihs01="RIHS01_" + "0" * 64,
        )  # fmt: skip
        writer.write(connection, STAMP, wire)
    [item] = read_bag(path)
    np.testing.assert_array_equal(item.frame().image, np.zeros((6, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "info",
    [
        "[" * 10**5,
        '{"stamp_ns": Infinity, "sample_id": "a", "image_id": 1}',
        '{"stamp_ns": ' + "9" * 10**4 + ', "sample_id": "a", "image_id": 1}',
        '{"stamp_ns": [], "sample_id": "a", "image_id": 1}',
        "\ufeff{}",
        '{"stamp_ns": 1, "sample_id": "a", "image_id": 1, "attributes": {"a": "\\udfff"}}',
        "",
    ],
)
def test_sample_records_that_explode(tmp_path: Path, info: str) -> None:
    path = small_bag(tmp_path / "bag", "mcap", info)
    with pytest.raises(DataError, match="is not a sample record") as caught:
        read_all(path)
    check_sentence(caught.value)
