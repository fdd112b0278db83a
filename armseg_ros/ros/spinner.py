# SPDX-License-Identifier: Apache-2.0
"""Start and end of ROS in a process whose main thread is left free for signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from armseg_ros.errors import ConfigError
from armseg_ros.ros.shared_memory import use_shared_memory


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
    """Serves one node until it is closed."""

    """Serves one node until it is closed."""

    def __init__(self, node: Any, on_end: Callable[[], None] | None = None) -> None:
        """Start the thread.

        Args:
            node: The node; its context is shut down in the end.
            on_end: Called in the thread when it ends, also where a callback raised.
        """
        self._context = node.context
        self._on_end = on_end
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="ros", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Shut the context down and end the thread; a second call does nothing."""
        rclpy.try_shutdown(context=self._context)
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        finally:
            if self._on_end is not None:
                self._on_end()
