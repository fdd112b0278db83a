# SPDX-License-Identifier: Apache-2.0
"""The segmenter node: camera images in, instances out, with a managed life cycle.

``configure`` loads the model, ``activate`` starts to listen; ``deactivate`` and ``cleanup`` undo
them. Three kinds of threads share the work. The executor's take images, parameters, services and
transitions; the loader's opens a model; the worker's segments the newest image and publishes. An
image that arrives while another still waits replaces it, so the answer is always about the newest
one, and the loss is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from armseg_ros.backends.base import Choice
from armseg_ros.backends.freed_memory import give_back_memory
from armseg_ros.errors import ArmsegError, ConfigError
from armseg_ros.ros.diagnostics import Statistics
from armseg_ros.ros.images import stamp_ns
from armseg_ros.ros.loading import LoadedModel, Loader, choose_by_parameters
from armseg_ros.ros.log_bridge import said_by
from armseg_ros.ros.managed_node import THREADS, EndingError, ManagedNode, transition
from armseg_ros.ros.memory import GpuMemory, resident_mb
from armseg_ros.ros.outputs import Outputs
from armseg_ros.ros.parameters import BY_NAME, check_choices, declare_parameters, segmenter_config
from armseg_ros.ros.qos import RESULT_QOS, image_qos, overridable, refused_policy
from armseg_ros.ros.spinner import DIED, Spinner, init_ros
from armseg_ros.ros.statuses import Condition, make_statuses
from armseg_ros.ros.worker import Answer, Arrival, Worker

DIAGNOSTICS_PERIOD_S = 1.0
COMPLAINT_PERIOD_S = 5.0  # a camera that sends nonsense must not fill the disk with log lines
STARTED_BADLY = 2


class SegmenterNode(ManagedNode):
    """Segments the images of one camera."""

    def __init__(
        self,
        *,
        load: Callable[[Mapping[str, Any]], Choice] = choose_by_parameters,
        on_failed_start: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        """Read the parameters; with ``autostart``, configure and activate once it is spun.

        Args:
            load: Opens the engine that parameters name.
            on_failed_start: Called where the node could not start by itself, or lost its engine.
            **options: Of ``rclpy.node.Node``.

        Raises:
            ConfigError: A parameter makes no sense.
            rclpy.exceptions.ParameterException: A parameter is of another type or out of range.
        """
        super().__init__("segmenter", on_failed_start, **options)
        self._values = declare_parameters(self)
        self._loader = Loader(load)
        self.lost_engine = ""
        self._statistics, self._gpu_memory = Statistics(), GpuMemory()
        self._changing = threading.RLock()  # guards the four below
        self._model: LoadedModel | None = None
        self._outputs: Outputs | None = None
        self._worker: Worker | None = None
        self._subscription: Any = None
        self._incompatible = ""
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULT_QOS)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/reload_model", self._on_reload, callback_group=self.slow)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # /clock may stand still or jump
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, self.slow, steady)
        if self._values["autostart"]:
            self.start()
        else:
            self.get_logger().info("unconfigured; ros2 lifecycle configures and activates it")

    def close(self) -> None:
        """Finish the image at hand, then free the network; the node is of no use afterwards."""
        self._loader.close()
        self.settle()
        self._free()

    @transition
    def on_configure(self) -> None:
        """Load and warm the model, and create the outputs."""
        model = self._loader.load(self._values)
        with self._changing:
            self._model = model
            self._outputs = Outputs(self)
            self._outputs.describe(model.backend, self._values)
            self._worker = Worker(
                model.segmenter(segmenter_config(self._values)),
                self._statistics,
                self.resolve_topic_name(self._image_topic),
                deliver=self._publish,
                complain=self._complain,
                lose=self._lose,
            )
            self._worker.max_age_ms = self._values["max_age_ms"]
        self.get_logger().info(f"{model.choice}")

    @transition
    def on_activate(self) -> None:
        """Start to listen."""
        if self._loader.closed:
            raise EndingError("the node is being ended")
        with self._changing:
            self._subscription = self._listen()
        self.get_logger().info(f"listening to {self._subscription.topic_name}")

    @transition
    def on_deactivate(self) -> None:
        """Stop to listen; the image at hand is still answered."""
        self._stop_listening()

    @transition
    def on_cleanup(self) -> None:
        """Free the model and all that belongs to it."""
        self._free()

    @transition
    def on_shutdown(self) -> None:
        """Free everything, from whatever state."""
        self._free()

    @transition
    def on_error(self) -> None:
        """Free everything, so that the node can be configured anew."""
        self._free()

    def _free(self) -> None:
        with self._changing:
            subscription, self._subscription = self._subscription, None
            worker, self._worker = self._worker, None
            model, self._model = self._model, None
            outputs, self._outputs = self._outputs, None
        if subscription is not None:
            self.destroy_subscription(subscription)
        ended = worker is None or worker.close()
        if model is not None and ended:
            model.backend.close()
        elif model is not None:  # closing waits for an engine that may hang
            threading.Thread(target=model.backend.close, name="engine end", daemon=True).start()
        if outputs is not None:
            outputs.close()
        give_back_memory()

    @property
    def _image_topic(self) -> str:
        return "image/compressed" if self._values["image_transport"] == "compressed" else "image"

    def _listen(self) -> Any:
        compressed = self._values["image_transport"] == "compressed"
        return self.create_subscription(
            CompressedImage if compressed else Image,
            self._image_topic,
            self._on_image,
            image_qos(self._values["image_reliability"], self._values["image_depth"]),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
            qos_overriding_options=overridable(),
            # An entity that is destroyed while it is called bars its group in rclpy for good.
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def _stop_listening(self) -> None:
        with self._changing:
            subscription, self._subscription = self._subscription, None
            worker = self._worker
        if subscription is not None:
            self.destroy_subscription(subscription)
            if worker is not None:
                worker.clear()

    def _on_image(self, message: Any) -> None:
        worker = self._worker
        if worker is not None:
            stamp = stamp_ns(message.header.stamp)
            age_ms = (self.get_clock().now().nanoseconds - stamp) / 1e6 if stamp else float("nan")
            worker.put(Arrival(message, time.perf_counter(), age_ms))

    def _on_incompatible(self, event: Any) -> None:
        if not self._incompatible:
            self._incompatible = (
                f"a camera offers {self.resolve_topic_name(self._image_topic)} with a "
                f"{refused_policy(event)} that this node cannot receive; start it with the "
                "parameter image_reliability:=best_effort"
            )
            self.get_logger().error(self._incompatible)

    def _publish(self, answer: Answer) -> None:
        if self._outputs is not None:
            self._outputs.publish(answer, self._values)

    def _lose(self, error: str) -> None:
        """End the node: whoever started it starts it again, with an engine that works."""
        self.lost_engine = error
        self._on_failed_start()

    def _complain(self, error: str) -> None:
        self.get_logger().error(error, throttle_duration_sec=COMPLAINT_PERIOD_S)

    def _check_parameters(self, parameters: Sequence[Any]) -> SetParametersResult:
        changed = {p.name: p.value for p in parameters if p.name in BY_NAME}
        try:
            check_choices(changed)
            segmenter_config(self._values | changed)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, parameters: Sequence[Any]) -> None:
        """Take over values that were accepted; the segmenter reads them before each frame."""
        changed = {p.name: p.value for p in parameters if p.name in BY_NAME}
        with self._changing:
            self._values = self._values | changed
            if self._worker is not None:
                self._worker.configure(segmenter_config(self._values), self._values["max_age_ms"])

    def _on_enable(self, request: Any, response: Any) -> Any:
        """Stop or start to listen, so that a node that is off costs no bandwidth."""
        with self._changing:
            active = self.state == "active"
            if not active:
                response.message = "not active; configure and activate the node first"
            elif request.data and self._subscription is None:
                self._subscription = self._listen()
        if active and not request.data:
            self._stop_listening()
        response.success = active
        response.message = response.message or ("listening" if request.data else "switched off")
        return response

    def _on_reload(self, _request: Any, response: Any) -> Any:
        """Load a model beside the one at work, and go on with it from the next image on."""
        worker = self._worker
        if worker is None:
            response.message = "no model is loaded; configure the node first"
            return response
        try:
            model = self._loader.load(self._values)
        except ArmsegError as error:
            response.message = f"the model before stays: {error}"
            return response
        response.success = self._take_over(worker, model)
        response.message = f"{model.choice}" if response.success else "the node was cleaned up"
        return response

    def _take_over(self, worker: Worker, model: LoadedModel) -> bool:
        """Exchange the model, unless the node was cleaned up while it loaded."""
        unused = model
        with worker.between_images() as held, self._changing:
            if held and self._worker is worker and self._outputs and self._model:
                unused, self._model = self._model, model
                worker.exchange(model.segmenter(segmenter_config(self._values)))
                self._outputs.describe(model.backend, self._values)
        unused.backend.close()
        give_back_memory()
        if unused is model:
            return False
        self.get_logger().info(f"{model.choice}")
        return True

    def _loading(self) -> str:
        """Say for how long a model has been loading, and how far it is."""
        seconds, progress = self._loader.busy_s, self._loader.progress
        if seconds is None:
            return ""
        return f"loading a model for {seconds:.0f} s" + (f": {progress}" if progress else "")

    def _idle_because(self) -> str:
        """Say why no image is taken; empty while the node listens."""
        if self._model is None and (loading := self._loading()):
            return loading
        if self._subscription is not None:
            return ""
        state = self.state
        return "switched off by ~/enable" if state == "active" else state

    def _publish_diagnostics(self) -> None:
        worker, model = self._worker, self._model
        on_gpu = model is not None and model.backend.name.startswith("tensorrt")
        condition = Condition(
            state=self.state,
            idle=self._idle_because(),
            loading=self._loading(),
            incompatible=self._incompatible,
            model=model,
            waiting=worker is not None and worker.waiting,
            at_hand_s=worker.at_hand_s if worker is not None else None,
            memory_mb=resident_mb(),
            gpu_memory_mb=self._gpu_memory.used_mb() if on_gpu else None,
        )
        out = DiagnosticArray()
        out.header.stamp = self.get_clock().now().to_msg()
        name, snapshot = self.get_fully_qualified_name(), self._statistics.snapshot()
        out.status = make_statuses(name, snapshot, condition, self._values)
        self._diagnostics.publish(out)


def main(arguments: list[str] | None, stop: threading.Event) -> int:
    """Run the node until it is told to stop.

    Args:
        arguments: Command line with ROS arguments; None takes the process's own.
        stop: Set by whoever wants the node to end, such as the thread that hears signals.

    Returns:
        0; 1 when a callback raised or the engine was lost; 2 when the node cannot start (both said
        in one sentence).
    """
    logger = rclpy.logging.get_logger("segmenter")
    with said_by(logger):
        try:
            init_ros(arguments)
            node = SegmenterNode(on_failed_start=stop.set)
        except (ArmsegError, ParameterException) as error:
            logger.fatal(str(error))
            rclpy.try_shutdown()
            return STARTED_BADLY
        spinner = Spinner(node, on_end=stop.set, threads=THREADS)
        stop.wait()
        node.close()
        spinner.close()
    if node.start_error:
        logger.fatal(node.start_error)
        return STARTED_BADLY
    if node.lost_engine:
        logger.fatal(node.lost_engine)
        return DIED
    return spinner.exit_code(logger)
