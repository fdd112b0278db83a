# SPDX-License-Identifier: Apache-2.0
"""What became of each image that was sent: the book that is held against the node's own counts.

An answer settles its image and, by ``dropped_since_last``, as many before it as the node dropped
since the answer before. Never more than ``WINDOW`` images are open, fewer than the middleware
holds, so none is lost on its way unseen. Images that were open while the node was switched off, or
while it was not connected yet, may rightly be lost; they are written down as exposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOW = 4  # images sent and not settled; the node's image_depth is 5


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What a node says of itself on /diagnostics.

    Attributes:
        received: Images that arrived.
        answered: Images that were answered.
        dropped: Images that were not, by reason.
    """

    received: int = 0
    answered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every image that arrived is counted once more."""
        return self.received == self.answered + sum(self.dropped.values())


@dataclass
class Ledger:
    """Counts images; used by one thread at a time.

    Attributes:
        sent: Images that were published.
        healthy: How many of them deserve an answer unless dropped.
        answered: Answers that came to them.
        exposed: Images that may rightly be lost.
        lost: Images that were neither answered nor counted as dropped.
        wrong: What must not happen at all, in one sentence each.
    """

    sent: int = 0
    healthy: int = 0
    answered: int = 0
    exposed: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    _open: dict[str, bool] = field(default_factory=dict)  # healthy or not, by name
    _spare: int = 0  # dropped images that an answer to an exposed one has told of

    @property
    def open(self) -> int:
        """Images that are not settled."""
        return len(self._open)

    def send(self, name: str, healthy: bool) -> None:
        """Write down an image before it is published."""
        self.sent += 1
        self.healthy += healthy
        self._open[name] = healthy

    def answer(self, name: str, dropped_before: int) -> None:
        """Settle an image, and those that the node dropped before it.

        Args:
            name: Of the image that was answered.
            dropped_before: Images that the node dropped since the answer before.
        """
        if name not in self._open:  # it was exposed; those dropped before it may be newer
            self._spare += dropped_before
            return
        self.answered += 1
        if not self._open[name]:
            self.wrong.append(f"image {name} is broken and was answered all the same")
        names = list(self._open)
        before = names[: names.index(name)]
        self.lost += max(0, len(before) - dropped_before - self._spare)
        self._spare = 0
        for settled in (*before, name):
            del self._open[settled]

    def expose(self) -> None:
        """Let go of the images that are open: the node was switched off, or came late."""
        self.exposed += len(self._open)
        self._open.clear()

    def give_up(self) -> None:
        """Count the images that are open as lost: nobody said anything about them."""
        self.lost += len(self._open)
        self._open.clear()
