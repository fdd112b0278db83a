# SPDX-License-Identifier: Apache-2.0
"""Memory that was freed between pieces that are still in use."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

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


NODE = """
import ctypes, os, sys, tempfile, threading, types

def heaps(*_):
    meet, libc = threading.Barrier(4), ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    def take(): meet.wait(), libc.malloc(1000), meet.wait()
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
        libc.malloc_info(0, stream), libc.fclose(stream)
        return file.read().count(b"<heap nr=")

sys.modules["armseg_ros.ros.segmenter_node"] = types.SimpleNamespace(main=heaps)
from armseg_ros.ros.process import run_segmenter
print(run_segmenter([]))
"""


@pytest.mark.parametrize(("setting", "one"), [({}, True), ({"MALLOC_ARENA_MAX": "4"}, False)])
def test_threads_of_a_node_share_a_heap_unless_the_user_says_otherwise(
    setting: dict[str, str], one: bool
) -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("this C library has no such setting")
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"} | setting
    said = subprocess.run(
        [sys.executable, "-c", NODE], env=environment, capture_output=True, text=True, check=True
    )
    assert (int(said.stdout) == 1) is one
