# SPDX-License-Identifier: Apache-2.0
"""From TensorRT's nested phases to one fraction that never goes back."""

from __future__ import annotations

import threading
from dataclasses import dataclass

ALMOST = 0.99  # 1 is said when the engine is there


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """Adds up the phases that a progress monitor is told of, from any thread.

    A phase counts as one step of its parent, so the fraction is done / steps of the outermost
    phase, plus what its furthest open child has done of one step.
    """

    def __init__(self) -> None:
        """Start with nothing done."""
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self.fraction = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase of ``steps`` steps."""
        with self._lock:
            self._phases[name] = _Phase(parent if parent in self._phases else None, max(1, steps))

    def step(self, name: str, step: int) -> None:
        """Note that step number ``step`` (from 0) of a phase is done."""
        with self._lock:
            if phase := self._phases.get(name):
                phase.done = min(step + 1, phase.steps)
            self._update()

    def finish(self, name: str) -> None:
        """End a phase."""
        with self._lock:
            self._phases.pop(name, None)

    def _update(self) -> None:
        roots = [name for name, phase in self._phases.items() if phase.parent is None]
        if roots:
            reached = max(self._fraction_of(name) for name in roots)
            self.fraction = max(self.fraction, min(ALMOST, reached))

    def _fraction_of(self, name: str) -> float:
        phase = self._phases[name]
        children = [n for n, p in self._phases.items() if p.parent == name]
        inside = max((self._fraction_of(child) for child in children), default=0.0)
        return min(1.0, (phase.done + min(inside, 1.0)) / phase.steps)
