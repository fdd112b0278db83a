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
from collections.abc import Callable

from armseg_ros.backends.freed_memory import use_one_arena
from armseg_ros.threads import use_one_blas_thread

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LISTENER = "end"  # name of the threads that wait for it


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
        _listen(_stop_after_input, stop)
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
    """Make SIGINT and SIGTERM set an event instead of raising.

    A thread of its own sets it. A handler runs in the main thread, which may hold the lock of the
    event at that moment; and it does not run while that thread waits, where another thread, one
    that is being started for example, took the signal.
    """
    stop = threading.Event()
    received, send = os.pipe()
    os.set_blocking(send, False)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    _listen(_stop_after_signal, received, stop)
    return stop


def _listen(wait: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=wait, args=arguments, name=LISTENER, daemon=True).start()


def _stop_after_signal(received: int, stop: threading.Event) -> None:
    """Python writes the number of each signal as a byte."""
    while os.read(received, 1)[0] not in SIGNALS:
        pass
    stop.set()


def _stop_after_input(stop: threading.Event) -> None:
    """Read past Python's buffers, whose locks a thread must not hold when the process exits."""
    while os.read(0, 1024):
        pass
    stop.set()


def _leave_threads_behind(code: int) -> None:
    """End the process at once where a thread is still within an engine, which no signal reaches.

    Python would wait for it, or take its memory away while it works: both end badly.
    """
    known = (threading.current_thread().name, LISTENER)
    if any(thread.name not in known for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
