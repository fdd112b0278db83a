# SPDX-License-Identifier: Apache-2.0
"""Memory of an engine that was closed, back to the operating system.

An engine takes its memory in large pieces through ``malloc``, which keeps freed ones between others
for later. A node that exchanges models holds 300 MB more after a dozen of them without this, and
nobody can see from outside whether it leaks.
"""

from __future__ import annotations

import ctypes
import gc
import logging

_log = logging.getLogger(__name__)


def give_back_memory() -> None:
    """Return freed memory to the operating system; does nothing where the C library cannot."""
    gc.collect()  # an engine may hang in a cycle of Python objects
    try:
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    except (AttributeError, OSError):
        _log.debug("this C library cannot return freed memory")
