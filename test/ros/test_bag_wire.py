# SPDX-License-Identifier: Apache-2.0
"""Bags written without ROS are what ROS itself would have recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bags
import pytest
import totes

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage

from armseg_ros.data.bag import read_bag, write_bag_from_coco
from armseg_ros.data.source import open_source
from armseg_ros.msg import InstanceArray
from armseg_ros.ros import messages

TRUTH = "armseg_ros/msg/InstanceArray"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_rclpy_reads_what_was_written(tmp_path: Path, storage: str) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    write_bag_from_coco(folder, "test", tmp_path / "bag", storage)
    items = list(open_source(folder))
    kinds = {"/image/compressed": CompressedImage, "/ground_truth": InstanceArray}
    found: dict[str, list[Any]] = {topic: [] for topic in kinds}
    with Reader(tmp_path / "bag") as reader:
        for connection, _, raw in reader.messages():
            if kind := kinds.get(connection.topic):
                found[connection.topic].append(deserialize_message(bytes(raw), kind))
    pictures, truths = found["/image/compressed"], found["/ground_truth"]
    assert [bytes(message.data) for message in pictures] == [item.content() for item in items]
    assert [message.header for message in pictures] == [message.header for message in truths]
    for message, item in zip(truths, items, strict=True):
        assert message.sample_id == item.sample_id
        totes.assert_same_instances(messages.detections_from_message(message), item.truth())


def test_what_rclpy_serialized_is_read(tmp_path: Path) -> None:
    one = totes.instances([totes.box_mask(1, 2, 3, 4)], [0], [True])
    message = messages.instance_array(one, None, (6, 8))
    message.header.stamp = messages.time_message(5)
    message.sample_id = "cell/1.png"
    wire = serialize_message(message)
    picture = ("/image/compressed", "sensor_msgs/msg/CompressedImage", 0, bags.compressed(5))
    path = bags.write(tmp_path / "bag", [picture, ("/ground_truth", TRUTH, 0, wire)])
    (item,) = read_bag(path)
    assert item.sample_id == "cell/1.png"
    totes.assert_same_instances(item.truth(), one)


def test_the_type_hash_is_that_of_the_compiled_message() -> None:
    """A recording names its types by hash, and ROS compares these with the installed ones."""
    description = Path(sys.prefix) / "share/armseg_ros/msg/InstanceArray.json"
    if not description.is_file():
        pytest.skip(f"{description} is not installed")
    hashes = {
        entry["type_name"]: entry["hash_string"]
        for entry in json.loads(description.read_text())["type_hashes"]
    }
    assert hashes[TRUTH] == bags.STORE.hash_rihs01(TRUTH)
