# SPDX-License-Identifier: Apache-2.0
"""How much memory this process takes, of the computer and of a GPU."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

MB = 1e6
GPU_PERIOD_S = 10.0  # nvidia-smi takes a tenth of a second of CPU time
GPU_TIMEOUT_S = 3.0
QUERY = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
MIB = 2.0**20


def resident_mb() -> float:
    """Return the resident memory of this process in MB, 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


class GpuMemory:
    """Asks the driver now and then; of a Jetson, whose GPU shares the memory, it knows nothing."""

    def __init__(self) -> None:
        """Begin with the first question open."""
        self._asked_at = -float("inf")
        self._known: float | None = None

    def used_mb(self) -> float | None:
        """Return what this process takes on all GPUs in MB; None where that is not known."""
        if time.monotonic() - self._asked_at > GPU_PERIOD_S:
            self._asked_at = time.monotonic()
            self._known = _ask_driver()
        return self._known


def _ask_driver() -> float | None:
    try:
        done = subprocess.run(
            QUERY, capture_output=True, text=True, timeout=GPU_TIMEOUT_S, check=True
        )
        rows = [line.split(",") for line in done.stdout.splitlines() if line.strip()]
        used = [float(mib) for pid, mib in rows if int(pid) == os.getpid()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return sum(used) * MIB / MB if used else None
