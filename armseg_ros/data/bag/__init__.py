# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings of pictures with ground truth, without a ROS installation.

A bag written here holds three topics, all stamped alike:

* ``/image/compressed``: the picture file, byte for byte, as ``sensor_msgs/CompressedImage``;
* ``/ground_truth``: an ``armseg_ros/InstanceArray`` for every labelled picture, empty where the
  label says that nothing is there; an unlabelled picture has none;
* ``/sample_info``: a ``std_msgs/String`` of JSON with the rest of the COCO record.
"""

from armseg_ros.data.bag.extract import extract_coco
from armseg_ros.data.bag.read import BagDataset, BagItem, read_bag
from armseg_ros.data.bag.recut import recut_bag
from armseg_ros.data.bag.write import STORAGES, write_bag_from_coco

__all__ = [
    "STORAGES",
    "BagDataset",
    "BagItem",
    "extract_coco",
    "read_bag",
    "recut_bag",
    "write_bag_from_coco",
]
