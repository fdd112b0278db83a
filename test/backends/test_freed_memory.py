# SPDX-License-Identifier: Apache-2.0
"""Memory that was freed between pieces that are still in use."""

from __future__ import annotations

import ctypes
import os

import pytest

from armseg_ros.backends.freed_memory import give_back_memory
from armseg_ros.soak.memory import resident_mib

PIECE_BYTES, PIECES = 100_000, 2000  # 190 MiB, each piece too small for a mapping of its own


def test_it_goes_back_to_the_operating_system() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("this C library keeps what was freed")
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    pieces = [libc.malloc(PIECE_BYTES) for _ in range(PIECES)]
    for piece in pieces:
        ctypes.memset(piece, 1, PIECE_BYTES)
    kept, freed = pieces[::10], [piece for n, piece in enumerate(pieces) if n % 10]
    for piece in freed:
        libc.free(piece)
    before = resident_mib(os.getpid())
    give_back_memory()
    after = resident_mib(os.getpid())
    for piece in kept:
        libc.free(piece)
    assert before - after > 0.8 * len(freed) * PIECE_BYTES / 2**20
