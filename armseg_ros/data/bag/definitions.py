# SPDX-License-Identifier: Apache-2.0
"""Topic names, and the message definitions that reading and writing a bag needs."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg
from rosbags.typesys import get_typestore as builtin_typestore
from rosbags.typesys.store import Typestore

from armseg_ros.errors import DataError, one_line

IMAGE_TOPIC = "/image/compressed"
TRUTH_TOPIC = "/ground_truth"
INFO_TOPIC = "/sample_info"

COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"
RAW_TYPE = "sensor_msgs/msg/Image"
IMAGE_TYPES = (COMPRESSED_TYPE, RAW_TYPE)
TRUTH_TYPE = "armseg_ros/msg/InstanceArray"
INFO_TYPE = "std_msgs/msg/String"

SPLIT_KEY = "armseg.split"  # in the bag's custom data

_TRUTH_FIELDS = {
    TRUTH_TYPE: {"header", "image_height", "image_width", "sample_id", "instances"},
    "armseg_ros/msg/Instance": {
        "class_id",
        "x_min",
        "y_min",
        "x_max",
        "y_max",
        "mask",
        "is_crowd",
    },
    "armseg_ros/msg/RleMask": {"x_offset", "y_offset", "height", "width", "counts"},
}


def writing_typestore() -> Typestore:
    """Make a type store with the standard messages and this package's own."""
    store = builtin_typestore(Stores.LATEST)
    for name, text in _own_definitions():
        store.register(get_types_from_msg(text, name))
    return store


def reading_typestore(connections: Iterable[Connection], where: str) -> Typestore:
    """Make a type store from the definitions a bag brings along, filled up with our own.

    Bags of ROS 2 Humble in sqlite3 bring none along; sensor_msgs and std_msgs are the same on the
    wire in every distribution since.

    Raises:
        DataError: A definition in the bag does not parse, or its InstanceArray is another one.
    """
    store = writing_typestore()
    standard = set(builtin_typestore(Stores.LATEST).fielddefs)  # a bag has no say in these
    for connection in connections:
        text = connection.msgdef.data
        known = connection.msgtype in standard
        if connection.msgdef.format == MessageDefinitionFormat.NONE or not text or known:
            continue
        try:
            if connection.msgdef.format == MessageDefinitionFormat.MSG:
                types = get_types_from_msg(text, connection.msgtype)
            else:
                types = get_types_from_idl(text)
            for name in types.keys() - standard:
                store.fielddefs.pop(name, None)
            store.register({n: fields for n, fields in types.items() if n not in standard})
        except Exception as error:  # the parser and the code it makes fail in many ways
            raise DataError(
                f"{where}: the definition of {connection.msgtype} (topic {connection.topic}) "
                f"does not parse: {one_line(error)}"
            ) from error
    _check_truth_fields(store, where)
    return store


def _check_truth_fields(store: Typestore, where: str) -> None:
    own = writing_typestore()
    for name, needed in _TRUTH_FIELDS.items():
        wanted = {field: kind for field, kind in own.fielddefs[name][1] if field in needed}
        found = dict(store.fielddefs[name][1])
        missing = {field for field, kind in wanted.items() if found.get(field) != kind}
        if missing:
            raise DataError(
                f"{where}: its {name} lacks {', '.join(sorted(missing))} as we know it; the bag "
                "is of another version of armseg_ros, so write it again"
            )


@functools.cache
def _own_definitions() -> tuple[tuple[str, str], ...]:
    for folder in _message_folders():
        if (folder / "InstanceArray.msg").is_file():
            return tuple(
                (f"armseg_ros/msg/{path.stem}", path.read_text(encoding="utf-8"))
                for path in sorted(folder.glob("*.msg"))
            )
    raise DataError(
        "the message files of armseg_ros (share/armseg_ros/msg) are not found; install the "
        "package, or source its workspace"
    )


def _message_folders() -> Iterator[Path]:
    """Name where the definitions may lie: source tree, around this file, sourced workspaces.

    The copy nearest to this file comes first, since it is of the same version.
    """
    here = Path(__file__)
    yield here.parents[3] / "msg"
    for parent in here.parents:
        yield parent / "share" / "armseg_ros" / "msg"
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share" / "armseg_ros" / "msg"
