# SPDX-License-Identifier: Apache-2.0
"""Read pictures and ground truth from a rosbag2 recording, one picture in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from armseg_ros.data.bag import definitions as names
from armseg_ros.data.bag.messages import stamp_ns, truth_from_message
from armseg_ros.data.bag.storage import (
    image_connection,
    opened,
    raw_messages,
    recorded_split,
    truth_connection,
)
from armseg_ros.data.coco import can_be_written, is_whole_number
from armseg_ros.data.folder import check_size
from armseg_ros.data.images import bgr_from_raw, decode_image
from armseg_ros.errors import DataError, one_line
from armseg_ros.types import Frame, Instances


@dataclass(frozen=True, slots=True, eq=False)
class SampleInfo:
    """The COCO record that a picture was written from.

    Attributes:
        sample_id: ``file_name``.
        image_id: ``id``.
        attributes: The further fields.
    """

    sample_id: str
    image_id: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class BagItem:
    """One picture of a bag, still serialized.

    Attributes:
        sample_id: From the bag where it says so, else ``stamp_<nanoseconds>``.
        image_id: From the bag where it says so, else a running number.
        attributes: Further fields of the COCO record that the picture was written from.
        stamp_ns: Stamp of the picture's header, nanoseconds since the epoch.
        fault: What is wrong with the message as such, else empty.
    """

    sample_id: str
    image_id: int
    attributes: dict[str, Any]
    stamp_ns: int
    fault: str
    _image: Any
    _truth: Any

    def frame(self) -> Frame:
        """Decode the picture and hold its size against the ground truth's."""
        if self.fault:
            raise DataError(self.fault)
        if self.encoded:
            pixels = decode_image(self._image.data.tobytes(), self.sample_id)
        else:
            pixels = bgr_from_raw(self._image, self.sample_id)
        if self._truth is not None:
            declared = int(self._truth.image_height), int(self._truth.image_width)
            check_size(pixels.shape[:2], declared, self.sample_id)
        return Frame(pixels, self.stamp_ns, self._image.header.frame_id, self.sample_id)

    def truth(self) -> Instances | None:
        """Decode the ground truth; None where the bag has none for this picture."""
        if self._truth is None:
            return None
        return truth_from_message(self._truth, self.sample_id)

    def content(self) -> bytes:
        """Return the picture's data as recorded."""
        return b"" if self.fault else bytes(self._image.data.tobytes())

    @property
    def encoded(self) -> bool:
        """Whether ``content`` is a picture file; False for raw pixels."""
        return hasattr(self._image, "format")


class BagDataset:
    """A bag as a source of pictures, in the order of recording.

    Attributes:
        path: The bag.
        split: Which COCO split it was written from, or None.
        image_topic: Where the pictures are.
        truth_topic: Where the ground truth is, or None.
        has_truth: Whether the bag holds ground truth for any picture.
    """

    kind = "bag"

    def __init__(self, path: Path, image_topic: str | None, truth_topic: str | None) -> None:
        self.path = path
        with opened(path) as reader:
            self._store = names.reading_typestore(reader.connections, str(path))
            image = image_connection(reader.connections, image_topic, path)
            truth = truth_connection(reader.connections, truth_topic, path)
            self.image_topic = image.topic
            self.truth_topic = truth.topic if truth else None
            self._truths = self._read_truths(reader)
            self._infos = self._read_infos(reader)
            self._free_id = max((info.image_id for info in self._infos.values()), default=0)
            self._count = int(image.msgcount)
        self.split = recorded_split(path)
        self.has_truth = bool(self._truths)
        if self._count == 0:
            raise DataError(f"{path}: topic {self.image_topic} holds no pictures")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[BagItem]:
        """Yield the pictures.

        Raises:
            DataError: The bag's storage is damaged, or, after the last picture, pictures are
                missing; what came before was good.
        """
        seen: set[int] = set()
        number = stampless = 0
        with opened(self.path) as reader:
            for number, (message, fault) in enumerate(self._messages(reader, self.image_topic), 1):
                if message is None:
                    stampless += 1
                    yield self._nameless(number, f"message_{number}", fault)
                    continue
                stamp = stamp_ns(message.header)
                repeated = stamp in seen
                seen.add(stamp)
                yield (self._repeated if repeated else self._item)(message, stamp, number)
        self._check_complete(number, seen, stampless)

    def _check_complete(self, count: int, seen: set[int], stampless: int) -> None:
        """Hold what was read against what the bag says of itself: no picture is lost silently."""
        if count != self._count:
            raise DataError(
                f"{self.path}: its metadata counts {self._count} pictures on {self.image_topic}, "
                f"but its storage holds {count}; if that is all, 'ros2 bag reindex' mends the count"
            )
        alone = sorted(self._truths.keys() - seen)
        if len(alone) > stampless:  # a picture that does not deserialize may be theirs
            raise DataError(
                f"{self.path}: {len(alone)} messages of {self.truth_topic} have no picture of "
                f"their stamp on {self.image_topic}, first {alone[0]} ns; record both topics whole"
            )

    def _item(self, message: Any, stamp: int, number: int) -> BagItem:
        info, raw_truth, truth = self._infos.get(stamp), self._truths.get(stamp), None
        if raw_truth is not None:
            where = f"{self.truth_topic} at {stamp}"
            truth = self._deserialize(raw_truth, names.TRUTH_TYPE, where)
        named = info.sample_id if info else getattr(truth, "sample_id", "")
        return BagItem(
            sample_id=named if named and named.isprintable() else f"stamp_{stamp}",
            image_id=info.image_id if info else self._free_id + number,
            attributes=info.attributes if info else {},
            stamp_ns=stamp,
            fault="",
            _image=message,
            _truth=truth,
        )

    def _repeated(self, message: Any, stamp: int, number: int) -> BagItem:
        """Make an item of a picture whose stamp came before: truth cannot be told apart by it."""
        fault = ""
        if self.has_truth:
            fault = (
                f"picture {number} of {self.image_topic} has the stamp of an earlier one "
                f"({stamp} ns), so its ground truth cannot be found"
            )
        return self._nameless(number, f"stamp_{stamp}_{number}", fault, message, stamp)

    def _nameless(
        self, number: int, sample_id: str, fault: str, message: Any = None, stamp: int = 0
    ) -> BagItem:
        return BagItem(sample_id, self._free_id + number, {}, stamp, fault, message, None)

    def _messages(self, reader: Reader, topic: str) -> Iterator[tuple[Any, str]]:
        """Yield each message of a topic, or None and what is wrong with it."""
        for number, (connection, raw) in enumerate(raw_messages(reader, topic, self.path), 1):
            try:
                yield (
                    self._deserialize(raw, connection.msgtype, f"message {number} of {topic}"),
                    "",
                )
            except DataError as error:
                yield None, str(error)

    def _deserialize(self, raw: bytes, message_type: str, where: str) -> Any:
        try:
            return self._store.deserialize_cdr(raw, message_type)
        except Exception as error:  # damaged bytes fail in any way inside generated code
            reason = one_line(error) or type(error).__name__
            raise DataError(f"{where} does not deserialize as {message_type}: {reason}") from error

    def _read_truths(self, reader: Reader) -> dict[int, bytes]:
        """Index the serialized ground truth by its header's stamp."""
        if self.truth_topic is None:
            return {}
        out: dict[int, bytes] = {}
        for number, (_, raw) in enumerate(raw_messages(reader, self.truth_topic, self.path), 1):
            where = f"{self.path}: message {number} of {self.truth_topic}"
            stamp = stamp_ns(self._deserialize(raw, names.TRUTH_TYPE, where).header)
            if stamp in out:
                raise DataError(f"{where} has the stamp of an earlier one ({stamp} ns)")
            out[stamp] = bytes(raw)
        return out

    def _read_infos(self, reader: Reader) -> dict[int, SampleInfo]:
        """Index what else is known about the samples by stamp."""
        known = {connection.topic: connection.msgtype for connection in reader.connections}
        if known.get(names.INFO_TOPIC) != names.INFO_TYPE:
            return {}
        out: dict[int, SampleInfo] = {}
        for message, fault in self._messages(reader, names.INFO_TOPIC):
            try:
                if message is None:
                    raise ValueError(fault)
                stamp, info = _parse_info(message.data)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                raise DataError(
                    f"{self.path}: a message of {names.INFO_TOPIC} is not a sample record: "
                    f"{one_line(error)}"
                ) from error
            out[stamp] = info
        ids = {info.image_id for info in out.values()}
        if len(ids) < len(out):  # recordings were joined: their numbers mean nothing together
            return {
                stamp: replace(info, image_id=number)
                for number, (stamp, info) in enumerate(out.items(), 1)
            }
        return out


def _parse_info(text: str) -> tuple[int, SampleInfo]:
    record = json.loads(text)
    info = SampleInfo(record["sample_id"], record["image_id"], record.get("attributes", {}))
    kinds = (
        isinstance(info.sample_id, str),
        is_whole_number(info.image_id),
        isinstance(record.get("attributes", {}), dict),
        can_be_written(record),
    )
    if not all(kinds):
        raise TypeError("sample_id must be text, image_id an integer, attributes an object of text")
    return int(record["stamp_ns"]), info


def read_bag(
    path: Path, image_topic: str | None = None, truth_topic: str | None = None
) -> BagDataset:
    """Open a bag and index its ground truth.

    Args:
        path: rosbag2 folder, or one ``.mcap`` or ``.db3`` file.
        image_topic: A ``sensor_msgs`` Image or CompressedImage topic; None takes the only one, or
            ``/image/compressed`` among several.
        truth_topic: An ``InstanceArray`` topic; None takes ``/ground_truth`` where there is one.

    Raises:
        DataError: The bag is damaged or empty, or a topic is missing or of another type.
    """
    return BagDataset(path, image_topic, truth_topic)
