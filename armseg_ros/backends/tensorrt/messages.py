# SPDX-License-Identifier: Apache-2.0
"""What TensorRT says, filtered and kept: its calls fail with None, the reason is in its log."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT_LINES = 50
SHOWN_LINES = 3


class LastMessages:
    """The last warnings and errors of TensorRT."""

    def __init__(self) -> None:
        """Start empty."""
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def add(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(" ".join(line.split()))

    def reason(self) -> str:
        """Join the last few lines for the end of an error message."""
        lines = list(self._lines)[-SHOWN_LINES:]
        return "; ".join(line[:300] for line in lines) or "it gave no reason"


def make_logger(api: Any, messages: LastMessages) -> Any:
    """Make an ``ILogger`` that keeps errors and warnings and drops the rest at once.

    One build of YOLOv5s-seg logs thousands of lines, so the severity is looked at first.

    Args:
        api: The module ``tensorrt``.
        messages: Where lines are kept.
    """
    kept = (
        api.ILogger.Severity.INTERNAL_ERROR,
        api.ILogger.Severity.ERROR,
        api.ILogger.Severity.WARNING,
    )

    class Logger(api.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in kept:
                messages.add(msg)

    return Logger()
