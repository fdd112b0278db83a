# SPDX-License-Identifier: Apache-2.0
"""Open the storage of a bag, and find the topics in it; damage becomes a ``DataError``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from armseg_ros.data.bag import definitions as names
from armseg_ros.data.plain_yaml import load_plain_yaml
from armseg_ros.errors import DataError, one_line


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Open a bag for reading and close it afterwards."""
    try:
        reader = Reader(path)
        reader.open()
    except Exception as error:  # a damaged bag fails in the parser, the database or a checksum
        raise DataError(
            f"{path}: not a readable bag ({one_line(error)}); if its recording was cut off, "
            "'ros2 bag reindex' or 'mcap recover' may mend it"
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def recorded_split(path: Path) -> str | None:
    """Name the COCO split that a bag says it was written from; None where it does not."""
    try:
        document = load_plain_yaml((path / "metadata.yaml").read_text(encoding="utf-8"))
        custom = document["rosbag2_bagfile_information"].get("custom_data") or {}
        split = custom.get(names.SPLIT_KEY)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # a bare storage file, or metadata of another make
    return split if isinstance(split, str) else None


def raw_messages(reader: Reader, topic: str, path: Path) -> Iterator[tuple[Connection, bytes]]:
    """Yield the serialized messages of one topic in the order of recording."""
    connections = [c for c in reader.connections if c.topic == topic]
    messages = reader.messages(connections)
    count = 0
    while True:
        try:
            connection, _, raw = next(messages)
        except StopIteration:
            return
        except Exception as error:  # as in opened
            raise DataError(
                f"{path}: damaged after {count} messages of {topic} ({one_line(error)}); "
                "'mcap recover' or sqlite3's '.recover' may mend it"
            ) from error
        count += 1
        yield connection, raw


def image_connection(connections: list[Connection], topic: str | None, path: Path) -> Connection:
    """Find the pictures: the named topic, ``/image/compressed``, or the only image topic."""
    images = [c for c in connections if c.msgtype in names.IMAGE_TYPES]
    if topic is not None:
        return _named(connections, topic, names.IMAGE_TYPES, path)
    preferred = [c for c in images if c.topic == names.IMAGE_TOPIC]
    if len(preferred or images) == 1:
        return (preferred or images)[0]
    found = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in images or connections))
    problem = "several image topics, name one of" if images else "no image topic, only"
    raise DataError(f"{path}: {problem} {found or 'nothing at all'}")


def truth_connection(
    connections: list[Connection], topic: str | None, path: Path
) -> Connection | None:
    """Find the ground truth: the named topic, or ``/ground_truth`` where there is one."""
    if topic is None and names.TRUTH_TOPIC not in {c.topic for c in connections}:
        return None
    return _named(connections, topic or names.TRUTH_TOPIC, (names.TRUTH_TYPE,), path)


def _named(
    connections: list[Connection], topic: str, types: tuple[str, ...], path: Path
) -> Connection:
    found = [c for c in connections if c.topic == topic]
    if not found:
        topics = ", ".join(sorted(c.topic for c in connections)) or "none"
        raise DataError(f"{path}: no topic {topic}; the bag's topics are {topics}")
    if found[0].msgtype not in types:
        raise DataError(
            f"{path}: topic {topic} is a {found[0].msgtype}, expected {' or '.join(types)}"
        )
    return found[0]
