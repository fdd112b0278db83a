# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile that lets images of many megabytes arrive.

With the default transports a 15 MB image on a best-effort topic never arrives, and a reliable one
takes four times as long: it is cut into hundreds of fragments that must all fit a 512 kB segment.
Both ends need the profile, before they create their first node.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
OLD_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"  # of Fast DDS 2, which comes with Jazzy
PROFILE = "fastdds_shm.xml"
SEGMENT_BYTES = 144 << 20  # what one process takes of /dev/shm with the profile
NODES = 2  # at least the camera and the segmenter share it

_log = logging.getLogger(__name__)


def shared_memory_environment() -> dict[str, str]:
    """Name the profile for the environment of a process.

    Returns:
        The path by the name of the variable that Fast DDS reads. Empty where that is set already,
        the profile is not installed, or /dev/shm is too small for it (containers often have 64 MB).
    """
    variable = profile_variable()
    if os.environ.get(variable):
        return {}
    profile = next((path for path in _profiles() if path.is_file()), None)
    if profile is None:
        _log.warning("%s is not installed; large images may be lost on their way", PROFILE)
        return {}
    if not _has_room():
        _log.warning(
            "/dev/shm has less than %d MB free, so images travel by UDP; give a container "
            "--shm-size=512m",
            NODES * SEGMENT_BYTES >> 20,
        )
        return {}
    return {variable: str(profile)}


def use_shared_memory() -> None:
    """Set the profile in this process's own environment; call it before the first node is made."""
    os.environ.update(shared_memory_environment())


def profile_variable() -> str:
    """Name the variable that the installed Fast DDS reads: version 3 calls itself fastdds."""
    old = any((prefix / "share" / "fastrtps").is_dir() for prefix in _prefixes())
    return OLD_VARIABLE if old else VARIABLE


def _prefixes() -> list[Path]:
    """List where ROS packages lie: workspaces and installations, then this environment."""
    named = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) for prefix in (*named, sys.prefix) if prefix]


def _profiles() -> Iterator[Path]:
    """Name where the profile may lie: source tree, workspaces, this environment.

    Modules of a source tree go with the profile beside them, which may be newer than an installed
    one.
    """
    yield Path(__file__).parents[2] / "config" / PROFILE
    for prefix in _prefixes():
        yield prefix / "share" / "armseg_ros" / "config" / PROFILE


def _has_room() -> bool:
    try:
        return shutil.disk_usage("/dev/shm").free >= NODES * SEGMENT_BYTES
    except OSError:
        return False
