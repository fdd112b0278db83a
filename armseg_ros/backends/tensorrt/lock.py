# SPDX-License-Identifier: Apache-2.0
"""One builder at a time: two nodes that start together must not build the same engine twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from armseg_ros.errors import BackendError

POLL_S = 0.2


@contextlib.contextmanager
def exclusive(path: Path, stop: threading.Event, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on a file; the kernel frees it whatever becomes of this process.

    Args:
        path: The lock file, which stays: removing it would let two holders in.
        stop: Set by whoever wants the wait to end.
        on_wait: Called once where another process holds the lock.

    Raises:
        BackendError: The file cannot be made, or ``stop`` was set.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BackendError(
            f"{path}: cannot be made ({error.strerror}); name another place for engines"
        ) from error
    try:
        if not _try(path, handle):
            on_wait()
            while not _try(path, handle):
                if stop.wait(POLL_S):
                    raise BackendError(f"{path}: stopped while another process builds")
        yield
    finally:
        os.close(handle)


def _try(path: Path, handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # as on some network file systems
        raise BackendError(
            f"{path}: cannot be locked ({error.strerror}); name another place for engines"
        ) from error
    return True
