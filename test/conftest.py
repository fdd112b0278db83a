# SPDX-License-Identifier: Apache-2.0
"""For every test: a private corner of ROS, on this host only, where large images arrive."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import HEIGHT_PX, WIDTH_PX, Browser, start_or_skip
from hypothesis import settings

# launch_pytest, which pytest loads where ROS is installed, makes loggers that pytest cannot hear.
logging.setLoggerClass(logging.Logger)

# A busy machine takes its time; hypothesis would call that a failure.
settings.register_profile("armseg", deadline=None)
settings.load_profile("armseg")

# Started in the background of a script, Python ignores Ctrl-C, and so do the processes it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_MEMORY = Path("/dev/shm")
DOMAIN_ID = 1 + os.getpid() % 100  # another one than that of whatever else runs here


@pytest.fixture(scope="session", autouse=True)
def _private_ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from armseg_ros.ros.shared_memory import shared_memory_environment  # its logger comes too

    patch = pytest.MonkeyPatch()
    patch.setenv("ROS_DOMAIN_ID", str(DOMAIN_ID))
    patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # Child processes run this source tree too, with the messages of wherever these come from.
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
    for name, value in shared_memory_environment().items():
        patch.setenv(name, value)
    before = segment_locks()
    yield
    patch.undo()
    remove_dead_segments(segment_locks() - before)


@pytest.fixture(scope="session")
def _one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = start_or_skip(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def browser(_one_browser: Browser) -> Browser:
    """A headless Chromium with an empty page of the usual size and no downloads."""
    for path in _one_browser.downloads.iterdir():
        path.unlink()
    _one_browser.driver.get("about:blank")
    _one_browser.resize(WIDTH_PX, HEIGHT_PX)
    _one_browser.errors()
    return _one_browser


def segment_locks() -> set[Path]:
    """Lock files of Fast DDS, of Kilted's version and of Jazzy's."""
    return {*SHARED_MEMORY.glob("fastdds_*_el"), *SHARED_MEMORY.glob("fastrtps_*_el")}


def remove_dead_segments(locks: set[Path]) -> None:
    """Free the shared memory of nodes that a test killed: 128 MB each, until the next reboot.

    Fast DDS holds a lock on the ``_el`` file of each segment while its owner lives.
    """
    for path in locks:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink()
            path.with_name(path.name.removesuffix("_el")).unlink(missing_ok=True)
