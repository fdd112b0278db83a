# SPDX-License-Identifier: Apache-2.0
"""How much memory a process holds, and whether it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from armseg_ros.errors import BackendError

WARM_UP_SHARE = 0.25  # of the run: engines, allocators and DDS buffers fill up in the first minutes
WINDOW_S = 60.0  # the lowest of each minute counts: what an allocator holds for later is no leak
FEWEST_WINDOWS = 3  # a slope over fewer says nothing


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB, as ``ps`` shows it.

    Raises:
        BackendError: The process is gone.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BackendError(f"process {pid} is gone") from error
    lines = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    if not lines:  # a process that ended, whose exit code nobody has read yet
        raise BackendError(f"process {pid} has ended")
    return int(lines[0].split()[1]) / 1024


@dataclass
class Memory:
    """Resident memory over time.

    Attributes:
        samples: (seconds since the start, MiB) in the order of time.
    """

    samples: list[tuple[float, float]] = field(default_factory=list)

    def add(self, elapsed_s: float, mib: float) -> None:
        """Note a measurement."""
        self.samples.append((elapsed_s, mib))

    @property
    def first_mib(self) -> float:
        """The first measurement; NaN before it."""
        return self.samples[0][1] if self.samples else float("nan")

    @property
    def last_mib(self) -> float:
        """The last measurement; NaN before the first."""
        return self.samples[-1][1] if self.samples else float("nan")

    @property
    def peak_mib(self) -> float:
        """The largest measurement; NaN before the first."""
        return max((mib for _, mib in self.samples), default=float("nan"))

    def slope(self) -> float | None:
        """Growth in MiB per 10 minutes: least squares through the lowest value of each minute.

        Returns:
            None where fewer than ``FEWEST_WINDOWS`` whole minutes are left after the warm-up.
        """
        if not self.samples:
            return None
        warm_at = self.samples[-1][0] * WARM_UP_SHARE
        lowest: dict[int, tuple[float, float]] = {}
        for elapsed_s, mib in self.samples:
            window = int((elapsed_s - warm_at) // WINDOW_S)
            if window >= 0 and (window not in lowest or mib < lowest[window][1]):
                lowest[window] = elapsed_s, mib
        if len(lowest) <= FEWEST_WINDOWS:  # the last one is not whole
            return None
        points = np.array(list(lowest.values()))
        return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) * 600
