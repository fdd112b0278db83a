# SPDX-License-Identifier: Apache-2.0
"""Worker processes that do not outlive the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process, at once, when its parent has ended; a kill leaves that no time to say so.

    Call it in a process that ``multiprocessing`` started.
    """
    threading.Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
