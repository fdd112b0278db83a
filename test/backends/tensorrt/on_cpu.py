# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels compiled by g++ and called as the GPU would be, for tests."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from armseg_ros.backends.tensorrt.images import ARCHIVE
from armseg_ros.backends.tensorrt.launches import Launch

SOURCE = Path(__file__).with_name("kernels_on_cpu.cpp")
C_TYPES = {
    np.uintp: ctypes.c_void_p,
    np.int32: ctypes.c_int,
    np.float32: ctypes.c_float,
}


@functools.cache
def library() -> ctypes.CDLL:
    """Compile the kernels, once per process; skip where there is no compiler."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.so"
        flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
        command = ["g++", *flags, "-I", ARCHIVE.parent, SOURCE, "-o", target]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(target))


def call(launch: Launch) -> None:
    """Run a launch on the CPU; its addresses are those of NumPy arrays."""
    function = getattr(library(), f"launch_{launch.kernel}")
    types = [C_TYPES[type(argument)] for argument in launch.arguments]
    function.argtypes = [ctypes.c_void_p, *types]
    grid = (ctypes.c_int * 4)(*launch.grid, *launch.block)
    function(grid, *(argument.item() for argument in launch.arguments))
