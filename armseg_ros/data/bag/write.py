# SPDX-License-Identifier: Apache-2.0
"""Write a COCO split as a rosbag2 recording."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from tqdm import tqdm

from armseg_ros.data.bag import definitions as names
from armseg_ros.data.bag.messages import make_header, truth_to_message
from armseg_ros.data.coco import CocoDataset, Sample, read_coco
from armseg_ros.data.folder import check_size
from armseg_ros.data.images import check_encoded, read_bytes
from armseg_ros.errors import DataError

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
FIRST_STAMP_NS = 1_700_000_000 * 10**9  # fixed, so that the same folder gives the same bag
PERIOD_NS = 10**8  # 10 pictures a second
FRAME_ID = "tote_camera"

_FOREVER = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)


def write_bag_from_coco(
    folder: Path,
    split: str | None,
    bag_path: Path,
    storage: str = "mcap",
    *,
    keep: Collection[str] | None = None,
) -> int:
    """Write one split as a bag; the pictures keep their bytes.

    Args:
        folder: COCO folder or annotation file.
        split: ``train``, ``val`` or ``test``; None where there is only one.
        bag_path: Folder to make; it must not exist.
        storage: ``mcap`` or ``sqlite3``.
        keep: Names of the pictures to write; None writes all.

    Returns:
        Number of pictures written.

    Raises:
        DataError: ``bag_path`` exists, the split is empty, or a picture or annotation is damaged;
            nothing is left behind.
    """
    if storage not in STORAGES:
        raise DataError(f"storage is {storage!r}, but must be {' or '.join(STORAGES)}")
    dataset = read_coco(folder, split)
    if keep is not None:
        samples = tuple(sample for sample in dataset.samples if sample.sample_id in keep)
        dataset = replace(dataset, samples=samples)
    if not dataset.samples:
        raise DataError(f"{dataset.path} lists no pictures, so there is no bag to write")
    with new_folder(bag_path) as path:
        writer = Writer(path, version=9, storage_plugin=STORAGES[storage])
        writer.set_custom_data(names.SPLIT_KEY, dataset.path.stem)
        with writer:
            _write_samples(writer, dataset)
    return len(dataset.samples)


def _write_samples(writer: Writer, dataset: CocoDataset) -> None:
    store = names.writing_typestore()

    def connect(topic: str, message_type: str) -> Connection:
        return writer.add_connection(
            topic, message_type, typestore=store, offered_qos_profiles=[_RELIABLE]
        )

    info = connect(names.INFO_TOPIC, names.INFO_TYPE)
    image = connect(names.IMAGE_TOPIC, names.COMPRESSED_TYPE)
    truth = connect(names.TRUTH_TOPIC, names.TRUTH_TYPE)
    progress = tqdm(dataset.samples, desc="writing bag", unit="picture", disable=None)
    for number, sample in enumerate(progress):
        stamp = FIRST_STAMP_NS + number * PERIOD_NS
        header = make_header(store.types, stamp, FRAME_ID)
        messages = [
            (
                info,
                store.types[names.INFO_TYPE](data=_info(sample, stamp)),
            ),
            (image, _compressed(sample, header, store.types)),
        ]
        if dataset.has_truth:
            hw = sample.height, sample.width
            array = truth_to_message(store, sample.truth, header, hw, sample.sample_id)
            messages.append((truth, array))
        for connection, message in messages:
            writer.write(connection, stamp, store.serialize_cdr(message, connection.msgtype))


def _compressed(sample: Sample, header: Any, types: dict[str, Any]) -> Any:
    encoded = read_bytes(sample.image_path)
    declared = check_encoded(encoded, str(sample.image_path))
    check_size(
        (declared.height, declared.width),
        (sample.height, sample.width),
        sample.sample_id,
    )
    return types[names.COMPRESSED_TYPE](
        header=header, format=declared.format, data=np.frombuffer(encoded, np.uint8)
    )


def _info(sample: Sample, stamp: int) -> str:
    return json.dumps(
        {
            "stamp_ns": stamp,
            "sample_id": sample.sample_id,
            "image_id": sample.image_id,
            "attributes": sample.attributes,
        }
    )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a path of the same name to write to; it takes its place only when all went well.

    The name must be the final one already, because a bag's storage file is named after it.
    """
    if path.exists():
        raise DataError(f"{path} exists already; choose another name or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield workplace / path.name
        (workplace / path.name).rename(path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
