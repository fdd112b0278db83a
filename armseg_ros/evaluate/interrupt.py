# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM as a request to finish the picture in hand and write what there is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Becomes true at the first signal; the second one interrupts at once."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Note the first signal; raise ``KeyboardInterrupt`` at any further one."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Catch the signals while the block runs; only possible in the main thread."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
