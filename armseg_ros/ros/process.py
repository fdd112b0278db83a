# SPDX-License-Identifier: Apache-2.0
"""Start a node as a process of its own: signals end it with exit code 0, mistakes with 2.

Ctrl-C reaches a launched node twice, from the terminal and from launch. The handler set here never
raises, so no second signal can break into the clean-up; it stands before the slow imports, so an
early Ctrl-C leaves no traceback either.
"""

from __future__ import annotations

import signal
import threading

from armseg_ros.threads import use_one_blas_thread


def run_segmenter(arguments: list[str] | None = None) -> int:
    """Run the segmenter node until a signal ends it.

    Returns:
        0 after a signal, 2 when the node cannot start (said in one sentence).
    """
    use_one_blas_thread()
    stop = stop_on_signals()
    from armseg_ros.ros.segmenter_node import main

    return main(arguments, stop)


def run_evaluator(arguments: list[str] | None = None) -> int:
    """Run the evaluator node until the evaluation is done or a signal ends it.

    Returns:
        0, or 2 when the evaluation cannot be made (said in one sentence).
    """
    use_one_blas_thread()
    stop = stop_on_signals()
    from armseg_ros.ros.evaluator_node import main

    return main(arguments, stop)


def stop_on_signals() -> threading.Event:
    """Make SIGINT and SIGTERM set an event instead of raising."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
