# SPDX-License-Identifier: Apache-2.0
"""A node of states: it starts by itself, says why a transition failed, ends at any moment."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node

from armseg_ros.errors import ArmsegError

THREADS = 4  # images, services, a model that loads, and a second one that is refused meanwhile
SETTLE_TIMEOUT_S = 0.5
POLL_S = 0.005
BETWEEN_STATES = State.TRANSITION_STATE_CONFIGURING  # such states are numbered from here on


class EndingError(ArmsegError):
    """The node is being ended, so what was begun is given up; nobody needs to hear of it."""


def transition(change: Callable[[Any], None]) -> Callable[[Any, Any], TransitionCallbackReturn]:
    """Make a transition's callback of a method that raises where it cannot be done.

    What the user can mend leaves the state as it was; anything else is an error, whose trace rclpy
    would swallow.
    """

    @functools.wraps(change)
    def callback(self: Any, state: Any) -> TransitionCallbackReturn:
        try:
            change(self)
            return getattr(LifecycleNode, change.__name__)(self, state)
        except EndingError:
            return TransitionCallbackReturn.FAILURE
        except ArmsegError as error:
            self.report(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # noqa: BLE001 - see above
            self.report("".join(traceback.format_exception(error)).strip())
            return TransitionCallbackReturn.ERROR

    return callback


class ManagedNode(LifecycleNode):
    """A node of states; spin it with ``THREADS`` threads.

    Attributes:
        slow: Callback group of transitions and of whatever else takes long; it holds up nothing.
        start_error: Why it could not start by itself; empty where it could, or was not to.
    """

    def __init__(self, name: str, on_failed_start: Callable[[], None], **options: Any) -> None:
        """Create the node, unconfigured.

        Args:
            name: Of the node.
            on_failed_start: Called in a thread of the executor where ``start_error`` was set.
            **options: Of ``rclpy.node.Node``.
        """
        Node.__init__(self, name, **options)
        self.slow = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self.slow)
        self._refuse_impossible_changes()
        self.start_error = ""
        self._starting = self._ending = False
        self._on_failed_start = on_failed_start

    @property
    def state(self) -> str:
        """Name of the state, such as ``inactive``."""
        return str(self._state_machine.current_state[1])

    def start(self) -> None:
        """Configure and activate as soon as the node is spun."""
        self._starting = True
        self.create_guard_condition(self._start, self.slow).trigger()

    def destroy_node(self) -> None:
        """Destroy everything, with the state machine once the context is shut down.

        rclpy forgets the state machine, which keeps the node in the graph, and the shared memory of
        a process that ends in haste in /dev/shm. While its context is being shut down rclpy calls
        this too, when callbacks may still ask for the state; so whoever shuts down calls it again.
        """
        super().destroy_node()
        if not self.context.ok():
            self._state_machine.destroy_when_not_in_use()

    def report(self, error: str) -> None:
        """Log why a transition failed; where the node starts by itself, whoever waits logs it."""
        if self._starting:
            self.start_error = error
        else:
            self.get_logger().error(error)

    def settle(self) -> None:
        """Begin no transition by itself any more, and wait a moment for one to end.

        rclpy complains where the context ends first.
        """
        self._ending = True
        end = time.monotonic() + SETTLE_TIMEOUT_S
        while self._is_changing() and time.monotonic() < end:
            time.sleep(POLL_S)

    def _is_changing(self) -> bool:
        return self._starting or bool(self._state_machine.current_state[0] >= BETWEEN_STATES)

    def _start(self) -> None:
        """Take both steps; where somebody else has changed the state meanwhile, leave it there."""
        try:
            for step in (self.trigger_configure, self.trigger_activate):
                if self._ending or step() != TransitionCallbackReturn.SUCCESS:
                    break
        except RuntimeError as error:
            self.get_logger().warning(f"not started: {error}")
        if self.start_error:
            self._on_failed_start()
        self._starting = False

    def _refuse_impossible_changes(self) -> None:
        """Answer a request that the state does not allow; Jazzy's rclpy ends the node for it."""
        change = self._service_change_state.callback

        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError as error:
                self.get_logger().error(f"the state stays {self.state}: {error}")
                response.success = False
                return response

        self._service_change_state.callback = guarded
