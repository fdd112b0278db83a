# SPDX-License-Identifier: Apache-2.0
"""Start a node as a process of its own: signals end it with exit code 0, mistakes with 2.

Ctrl-C reaches a launched node twice, from the terminal and from launch. The handler set here never
raises, so no second signal can break into the clean-up; it stands before the slow imports, so an
early Ctrl-C leaves no traceback either.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from armseg_ros.backends.freed_memory import use_one_arena
from armseg_ros.threads import use_one_blas_thread

WATCH = "standard input"
POLL_S = 0.1


def run_segmenter(arguments: list[str] | None = None, *, end_with_parent: bool = False) -> int:
    """Run the segmenter node until a signal ends it.

    Args:
        arguments: Command line with ROS arguments; None takes the process's own.
        end_with_parent: Also end when standard input does, which is a pipe from the parent.

    Returns:
        0 after a signal, 1 when a callback raised, 2 when the node cannot start (said in one
        sentence).
    """
    use_one_blas_thread()
    use_one_arena()
    stop = stop_on_signals()
    if end_with_parent:
        watch = threading.Thread(target=_stop_after_input, args=(stop,), name=WATCH, daemon=True)
        watch.start()
    from armseg_ros.ros.segmenter_node import main

    code = main(arguments, stop)
    _leave_threads_behind(code)
    return code


def run_evaluator(arguments: list[str] | None = None) -> int:
    """Run the evaluator node until the evaluation is done or a signal ends it.

    Returns:
        0; 1 when a callback raised; 2 when the evaluation cannot be made (said in one sentence).
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


def wait_for(stop: threading.Event) -> None:
    """Wait in the main thread until a signal, or whoever else, sets the event.

    A thread that is being started at that moment may take the signal from the main thread, whose
    wait then goes on; Python handles the signal once the main thread looks again.
    """
    while not stop.wait(POLL_S):
        pass


def _stop_after_input(stop: threading.Event) -> None:
    """Read past Python's buffers, whose locks a thread must not hold when the process exits."""
    while os.read(0, 1024):
        pass
    stop.set()


def _leave_threads_behind(code: int) -> None:
    """End the process at once where a thread is still within an engine, which no signal reaches.

    Python would wait for it, or take its memory away while it works: both end badly.
    """
    known = (threading.current_thread().name, WATCH)
    if any(thread.name not in known for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
