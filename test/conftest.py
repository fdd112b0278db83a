# SPDX-License-Identifier: Apache-2.0
"""For every test: a private corner of ROS, on this host only, where large images arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from armseg_ros.ros.shared_memory import shared_memory_environment

DOMAIN_ID = 1 + os.getpid() % 100  # another one than that of whatever else runs here


@pytest.fixture(scope="session", autouse=True)
def _private_ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("ROS_DOMAIN_ID", str(DOMAIN_ID))
    patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
    for name, value in shared_memory_environment().items():
        patch.setenv(name, value)
    yield
    patch.undo()
