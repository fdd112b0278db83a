# SPDX-License-Identifier: Apache-2.0
"""The other side of a soak: a camera, somebody who takes the answers, and somebody who meddles."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from armseg_ros.errors import BackendError
from armseg_ros.msg import InstanceArray
from armseg_ros.ros.diagnostics import DROP_REASONS
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.shared_memory import use_shared_memory
from armseg_ros.ros.spinner import Spinner
from armseg_ros.soak.ledger import WINDOW, Ledger, NodeCounts

NODE = "segmenter"
CALL_TIMEOUT_S = 60.0
POLL_S = 0.05


class SoakClient:
    """Sends images and keeps the book; a context manager that leaves ROS again.

    Attributes:
        ledger: The book; read it under ``changed`` alone.
        changed: Notified at each answer.
        counts: What the node said of itself last, and when (``time.monotonic()``).
    """

    def __init__(self, check: Callable[[], None]) -> None:
        """Join the graph.

        Args:
            check: Called during every wait; raises where the node has died or somebody stopped us.
        """
        use_shared_memory()
        self.ledger, self.changed = Ledger(), threading.Condition()
        self.counts: tuple[NodeCounts, float] = NodeCounts(), 0.0
        self._check = check
        context = rclpy.Context()
        rclpy.init(context=context)
        self._node = rclpy.create_node("armseg_soak", context=context)
        self._publisher = self._new_publisher()
        self._node.create_subscription(
            InstanceArray, f"{NODE}/instances", self._on_answer, RESULT_QOS
        )
        self._node.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, RESULT_QOS
        )
        self._clients: dict[str, Any] = {
            name: self._node.create_client(kind, f"{NODE}/{name}")
            for name, kind in {
                "enable": SetBool,
                "reload_model": Trigger,
                "change_state": ChangeState,
                "set_parameters": SetParameters,
            }.items()
        }
        self._viewer: Any = None
        self._spinner = Spinner(self._node)

    def __enter__(self) -> SoakClient:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._spinner.close()

    def send(self, message: Image, healthy: bool) -> None:
        """Publish an image; its ``frame_id`` is its name in the book."""
        with self.changed:
            self.ledger.send(message.header.frame_id, healthy)
        self._publisher.publish(message)

    def wait_for_room(self, timeout_s: float, room: int = WINDOW) -> bool:
        """Wait until fewer than ``room`` images are open; False where that took too long."""
        return self.wait(lambda: self.ledger.open < room, timeout_s)

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is done; False where that took too long."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self._check()
            with self.changed:
                if self.changed.wait_for(done, POLL_S):
                    return True
        return False

    @property
    def connected(self) -> bool:
        """Whether a node takes the images and gives answers."""
        return bool(
            self._publisher.get_subscription_count()
            and self._node.count_publishers(f"/{NODE}/instances")
        )

    def call(self, name: str, request: Any) -> Any:
        """Call a service of the node and return its response.

        Raises:
            BackendError: It is not there, or does not answer.
        """
        client = self._clients[name]
        if not self.wait(client.service_is_ready, CALL_TIMEOUT_S):
            raise BackendError(f"the service {client.srv_name} is not there")
        future = client.call_async(request)
        if not self.wait(future.done, CALL_TIMEOUT_S):
            raise BackendError(f"the service {client.srv_name} does not answer")
        return future.result()

    def set_parameter(self, name: str, value: Any) -> bool:
        """Set a parameter of the node; say whether it was accepted."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return bool(self.call("set_parameters", request).results[0].successful)

    def change_state(self, transition: int) -> bool:
        """Ask for a transition of the life cycle; say whether it was made."""
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call("change_state", request).success)

    def restart_camera(self) -> None:
        """Leave and come back, as a camera driver that was started again."""
        self._node.destroy_publisher(self._publisher)
        self._publisher = self._new_publisher()

    def toggle_viewer(self) -> None:
        """Look at the drawn pictures, or look away."""
        if self._viewer is None:
            self._viewer = [
                self._node.create_subscription(
                    Image, f"{NODE}/{topic}", lambda _: None, PICTURE_QOS
                )
                for topic in ("overlay", "label_image")
            ]
        else:
            for subscription in self._viewer:
                self._node.destroy_subscription(subscription)
            self._viewer = None

    def _new_publisher(self) -> Any:
        return self._node.create_publisher(Image, "image", image_qos("reliable", 10))

    def _on_answer(self, message: InstanceArray) -> None:
        with self.changed:
            self.ledger.answer(message.header.frame_id, message.times.dropped_since_last)
            self.changed.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if "images received" in values:
                dropped = {why: int(values[f"dropped, {why}"]) for why in DROP_REASONS}
                received, answered = values["images received"], values["images answered"]
                self.counts = (
                    NodeCounts(int(received), int(answered), dropped),
                    time.monotonic(),
                )
