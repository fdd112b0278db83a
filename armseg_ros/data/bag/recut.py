# SPDX-License-Identifier: Apache-2.0
"""Cut a recording down to some of its pictures; every message keeps its bytes and its time."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, QosDurability
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from armseg_ros.data.bag import definitions as names
from armseg_ros.data.bag.messages import NANOSECONDS
from armseg_ros.data.bag.read import read_bag
from armseg_ros.data.bag.storage import opened
from armseg_ros.data.bag.write import new_folder
from armseg_ros.errors import DataError

_HEADER = ("header", "std_msgs/msg/Header")


def recut_bag(bag_path: Path, sample_ids: Collection[str], output: Path) -> int:
    """Write a bag with some pictures of a bag, and all that was recorded of them.

    Kept are the pictures, every message whose header has the stamp of one of them (ground truth,
    camera info), their records on ``/sample_info``, and latched topics whole (static transforms).

    Args:
        bag_path: The recording.
        sample_ids: Names of the pictures, as an evaluation gives them.
        output: Folder to make; it must not exist.

    Returns:
        Number of pictures.

    Raises:
        DataError: ``output`` exists, the recording is damaged, or has none of the pictures;
            nothing is left behind.
    """
    bag = read_bag(bag_path)
    numbers, stamps = set(), set()
    for number, item in enumerate(bag):
        if item.sample_id in sample_ids:
            numbers.add(number)
            stamps.add(item.stamp_ns)
    if not numbers:
        raise DataError(f"{bag_path} has none of the {len(sample_ids)} pictures")
    with opened(bag_path) as reader, new_folder(output) as path:
        store = names.reading_typestore(reader.connections, str(bag_path))
        plugin = StoragePlugin[_storage(bag_path)]
        writer = Writer(path, version=9, storage_plugin=plugin)
        if bag.split:
            writer.set_custom_data(names.SPLIT_KEY, bag.split)
        with writer:
            copies = _connect(writer, reader, store)
            for connection, time, raw in _chosen(reader, bag.image_topic, numbers, stamps, store):
                if connection.id in copies:
                    writer.write(copies[connection.id], time, raw)
    return len(numbers)


def _storage(bag_path: Path) -> str:
    found = bag_path.suffix == ".mcap" or any(bag_path.glob("*.mcap"))
    return "MCAP" if found else "SQLITE3"


def _connect(writer: Writer, reader: Reader, store: Typestore) -> dict[int, Connection]:
    """Repeat the topics; those whose type nobody defines are left out."""
    out = {}
    for connection in reader.connections:
        if connection.msgtype in store.fielddefs:
            out[connection.id] = writer.add_connection(
                connection.topic,
                connection.msgtype,
                typestore=store,
                offered_qos_profiles=connection.ext.offered_qos_profiles,  # type: ignore[union-attr]
            )
    return out


def _chosen(
    reader: Reader, image_topic: str, numbers: set[int], stamps: set[int], store: Typestore
) -> Iterator[tuple[Connection, int, bytes]]:
    """Go through a recording once; yield the messages to keep."""
    number = -1
    for connection, time, raw in reader.messages():
        if connection.topic == image_topic:
            number += 1
            keep = number in numbers
        elif connection.topic == names.INFO_TOPIC and connection.msgtype == names.INFO_TYPE:
            text = store.deserialize_cdr(raw, names.INFO_TYPE).data  # type: ignore[attr-defined]
            keep = int(json.loads(text)["stamp_ns"]) in stamps
        elif _is_latched(connection):
            keep = True
        else:
            _, fields = store.fielddefs.get(connection.msgtype, ([], []))
            has_header = bool(fields) and fields[0][0] == _HEADER[0]
            keep = has_header and _first_stamp(raw) in stamps
        if keep:
            yield connection, time, bytes(raw)


def _is_latched(connection: Connection) -> bool:
    profiles = connection.ext.offered_qos_profiles  # type: ignore[union-attr]
    return any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles)


def _first_stamp(raw: bytes) -> int:
    """Read the stamp of a serialized message that begins with a header, in nanoseconds."""
    little = raw[1] & 1
    seconds, nanoseconds = struct.unpack_from("<iI" if little else ">iI", raw, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)
