# SPDX-License-Identifier: Apache-2.0
"""Start and end of ROS in a process whose main thread is left free for signals."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.signals import SignalHandlerOptions

from armseg_ros.errors import ConfigError
from armseg_ros.ros.shared_memory import use_shared_memory

CLOSE_TIMEOUT_S = 10.0
DIED = 1  # exit code of a node whose callback raised

_log = logging.getLogger(__name__)


def init_ros(arguments: list[str] | None) -> None:
    """Initialise rclpy without its signal handlers, and with the shared memory profile.

    The handlers would shut the context down at once, even halfway through the start and before the
    last answer is out. The profile is read when a process makes its first node and never again, so
    a node that makes a client later needs it now.

    Args:
        arguments: Command line with ROS arguments; None takes the process's own.

    Raises:
        ConfigError: The ROS arguments are wrong.
    """
    use_shared_memory()
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy has three kinds of it, all private
        raise ConfigError(f"the ROS arguments are not accepted: {error}") from error


class Spinner:
    """Serves one node until it is closed.

    Attributes:
        error: What ended the thread before it was closed: a callback raised it. None otherwise.
    """

    def __init__(
        self, node: Any, on_end: Callable[[], None] | None = None, threads: int = 1
    ) -> None:
        """Start the thread.

        Args:
            node: The node; its context is shut down in the end.
            on_end: Called in the thread when it ends, also where a callback raised.
            threads: How many callbacks may run at once.
        """
        self.error: Exception | None = None
        self._node = node
        self._context = node.context
        self._on_end = on_end
        self._executor = (
            SingleThreadedExecutor(context=node.context)
            if threads == 1
            else MultiThreadedExecutor(threads, context=node.context)
        )
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="ros", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Shut the context down and end the thread; a second call does nothing.

        Args:
            timeout_s: Longest wait in seconds; a callback that hangs is left to the process's end.
        """
        rclpy.try_shutdown(context=self._context)
        if self._context is rclpy.get_default_context():
            rclpy.try_shutdown()  # a used default context bars the next node of the process
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("a callback has not returned after %g s; leaving it", timeout_s)
            return
        ending = threading.Thread(target=self._end, name="ros end", daemon=True)
        ending.start()
        ending.join(timeout_s)
        if ending.is_alive():
            _log.error("a callback has not returned after %g s; leaving it", timeout_s)

    def exit_code(self, logger: Any) -> int:
        """Log what ended the thread as fatal, for the end of ``main``.

        Args:
            logger: Of rclpy.

        Returns:
            ``DIED`` where a callback raised, else 0.
        """
        if self.error is None:
            return 0
        logger.fatal("a callback failed: " + "".join(traceback.format_exception(self.error)))
        return DIED

    def _end(self) -> None:
        self._executor.shutdown()  # waits for callbacks in other threads
        self._node.destroy_node()  # Jazzy's shutdown leaves it in the graph

    def _turn(self) -> None:
        """Spin until the context ends, or something is destroyed at the moment it is called.

        rclpy raises for an entity that another thread destroys once the executor holds it for
        ready; there is nothing to be done for it, and the others go on.
        """
        try:
            self._executor.spin()
        except InvalidHandle:
            _log.debug("an entity was destroyed while it was ready")

    def _spin(self) -> None:
        try:
            while self._context.ok():
                self._turn()
        except ExternalShutdownException:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread must know
            # Jazzy's executor also raises where the context is shut down while it turns.
            self.error = error if self._context.ok() else None
        finally:
            if self._on_end is not None:
                self._on_end()
