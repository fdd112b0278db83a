# SPDX-License-Identifier: Apache-2.0
"""What the library logs, said by a node: to the console, to /rosout, and kept for /diagnostics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIBRARY = "armseg_ros"


class _ToRos(logging.Handler):
    """Passes records on to a logger of rclpy."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Say it with the severity that it has; rclpy wants each from a place of its own."""
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


@contextmanager
def said_by(logger: Any) -> Iterator[None]:
    """Let a logger of rclpy say what the library logs from INFO on, for the time of the block."""
    library, handler = logging.getLogger(LIBRARY), _ToRos(logger)
    before = library.level, library.propagate
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    library.propagate = False
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(before[0])
        library.propagate = before[1]


class LastMessage(logging.Handler):
    """Keeps the last thing that was logged.

    Attributes:
        text: It; empty before the first.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.text = record.getMessage()

    @contextmanager
    def listen(self, name: str) -> Iterator[None]:
        """Keep what is logged under a name, for the time of the block."""
        logger = logging.getLogger(name)
        self.text = ""
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
