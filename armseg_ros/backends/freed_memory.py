# SPDX-License-Identifier: Apache-2.0
"""What the C library keeps of freed memory: less of it, in one place.

An engine takes its memory in large pieces through ``malloc``, which keeps freed ones between others
for later. A node that exchanges models holds 300 MB more after a dozen of them without this, and
nobody can see from outside whether it leaks.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h

_log = logging.getLogger(__name__)


def give_back_memory() -> None:
    """Return freed memory to the operating system; does nothing where the C library cannot."""
    gc.collect()  # an engine may hang in a cycle of Python objects
    try:
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    except (AttributeError, OSError):
        _log.debug("this C library cannot return freed memory")


def use_one_arena() -> None:
    """Let all threads share one heap, unless ``MALLOC_ARENA_MAX`` says otherwise.

    By default glibc gives each thread a heap of its own. Images and answers pass from thread to
    thread, so these heaps fill with holes, and a node grows for hours although nothing leaks. Call
    it before threads are started.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    except (AttributeError, OSError):
        _log.debug("this C library has no number of heaps to set")
