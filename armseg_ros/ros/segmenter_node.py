# SPDX-License-Identifier: Apache-2.0
"""The segmenter node: camera images in, instances out.

Two threads share the work. The executor's takes images, parameters and services; the worker's
segments the newest image and publishes. An image that arrives while another still waits replaces
it, so the answer is always about the newest one, and the loss is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

from armseg_ros.backends.base import Backend, Choice, EngineSettings, choose_backend
from armseg_ros.errors import ArmsegError, ConfigError
from armseg_ros.masks import paint_labels
from armseg_ros.msg import InstanceArray, SegmentationQuality
from armseg_ros.overlay import draw_overlay
from armseg_ros.quality.draw import draw_suspects
from armseg_ros.quality.shipped import open_flags
from armseg_ros.ros import messages, quality_messages
from armseg_ros.ros.diagnostics import Statistics, status
from armseg_ros.ros.images import stamp_ns
from armseg_ros.ros.label_info import publish_label_info
from armseg_ros.ros.parameters import BY_NAME, check_choices, declare_parameters, segmenter_config
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, image_qos
from armseg_ros.ros.spinner import Spinner, init_ros
from armseg_ros.ros.worker import Answer, Arrival, Worker
from armseg_ros.segmenter import Segmenter

DIAGNOSTICS_PERIOD_S = 1.0
COMPLAINT_PERIOD_S = 5.0  # a camera that sends nonsense must not fill the disk with log lines
STARTED_BADLY = 2


class SegmenterNode(Node):
    """Segments the images of one camera."""

    def __init__(self, *, backend: Backend | None = None, **options: Any) -> None:
        """Read the parameters, load the model and start to listen.

        Args:
            backend: A loaded network to use in place of what the parameters name.
            **options: Of ``rclpy.node.Node``.

        Raises:
            ArmsegError: The model cannot be loaded, or a parameter makes no sense.
            rclpy.exceptions.ParameterException: A parameter is of another type or out of range.
        """
        super().__init__("segmenter", **options)
        self._values = declare_parameters(self)
        self._choice = Choice(backend) if backend else self._choose_backend()
        self._backend = self._choice.backend
        self._segmenter = Segmenter(
            self._backend,
            segmenter_config(self._values),
            open_flags(self._values["quality_model"]),
        )
        self._statistics = Statistics()
        self._create_outputs()
        self._worker = Worker(
            self._segmenter,
            self._statistics,
            self.resolve_topic_name(self._image_topic),
            deliver=self._publish,
            complain=self._complain,
        )
        self._worker.max_age_ms = self._values["max_age_ms"]
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics)
        self._subscription: Any = self._listen()
        self.get_logger().info(f"{self._choice}")
        self.get_logger().info(f"listening to {self._subscription.topic_name}")

    def close(self) -> None:
        """Finish the image at hand, then free the network; the node is of no use afterwards."""
        self._worker.close()
        self._backend.close()

    def _choose_backend(self) -> Choice:
        model = self._values["model"]
        settings = EngineSettings(self._values["threads"], precision=self._values["precision"])
        path = Path(model).expanduser() if model else None
        return choose_backend(path, self._values["backend"], settings)

    def _create_outputs(self) -> None:
        self._instances = self.create_publisher(InstanceArray, "~/instances", RESULT_QOS)
        self._quality = self.create_publisher(SegmentationQuality, "~/quality", RESULT_QOS)
        self._label_image = self.create_publisher(Image, "~/label_image", PICTURE_QOS)
        self._overlay = self.create_publisher(Image, "~/overlay", PICTURE_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULT_QOS)
        self._label_info = publish_label_info(
            self, self._backend.model.class_names, self._values["score_threshold"]
        )

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
        )

    def _on_image(self, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp)
        age_ms = (self.get_clock().now().nanoseconds - stamp) / 1e6 if stamp else float("nan")
        self._worker.put(Arrival(message, time.perf_counter(), age_ms))

    def _on_incompatible(self, _event: Any) -> None:
        self.get_logger().error(
            f"a camera offers {self._subscription.topic_name} with a quality of service that this "
            "node cannot receive; set the parameter image_reliability to best_effort"
        )

    def _publish(self, answer: Answer) -> None:
        """Publish an answer; the pictures are only drawn while somebody looks."""
        header, frame = answer.arrival.message.header, answer.frame
        detections = answer.segmentation.detections
        out = messages.instance_array(detections, header, frame.hw)
        out.model_id, out.backend = self._backend.model.model_id, self._backend.name
        out.times = messages.times_to_message(
            answer.segmentation.times,
            age_at_receive=answer.arrival.age_ms,
            dropped_since_last=answer.dropped_since_last,
        )
        quality = answer.segmentation.quality
        if quality is not None:
            quality_messages.flag_instances(out, quality)
            self._quality.publish(quality_messages.quality_to_message(quality, header))
        self._instances.publish(out)
        if self._label_image.get_subscription_count():
            labels = paint_labels(detections.masks, frame.hw)
            self._label_image.publish(messages.labels_to_message(labels, len(detections), header))
        if self._overlay.get_subscription_count():
            scale = self._values["overlay_scale"]
            picture = draw_overlay(frame.image, detections, scale)
            if quality is not None:
                draw_suspects(picture, detections, quality, scale)
            self._overlay.publish(messages.image_to_message(picture, "bgr8", header))

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
        self._values = self._values | changed
        self._segmenter.config = segmenter_config(self._values)
        self._worker.max_age_ms = self._values["max_age_ms"]

    def _on_enable(self, request: Any, response: Any) -> Any:
        """Stop or start to listen, so that a node that is off costs no bandwidth."""
        if request.data and self._subscription is None:
            self._subscription = self._listen()
        elif not request.data and self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
            self._worker.clear()
        response.success = True
        response.message = "listening" if request.data else "switched off"
        return response

    def _publish_diagnostics(self) -> None:
        facts = {
            "model": self._backend.model.model_id,
            "backend": self._backend.name,
            "better backends that do not work": "; ".join(self._choice.refused),
            "image_transport": self._values["image_transport"],
            "image_reliability": self._values["image_reliability"],
        }
        enabled = self._subscription is not None
        out = DiagnosticArray()
        out.header.stamp = self.get_clock().now().to_msg()
        name = f"{self.get_fully_qualified_name()}: segmentation"
        out.status = [status(name, self._statistics.snapshot(), facts, enabled)]
        self._diagnostics.publish(out)


def main(arguments: list[str] | None, stop: threading.Event) -> int:
    """Run the node until it is told to stop.

    Args:
        arguments: Command line with ROS arguments; None takes the process's own.
        stop: Set by whoever wants the node to end, such as a signal handler.

    Returns:
        0; 1 when a callback raised; 2 when the node cannot start (said in one sentence).
    """
    logger = rclpy.logging.get_logger("segmenter")
    try:
        init_ros(arguments)
        node = SegmenterNode()
    except (ArmsegError, ParameterException) as error:
        logger.fatal(str(error))
        rclpy.try_shutdown()
        return STARTED_BADLY
    spinner = Spinner(node, on_end=stop.set)
    stop.wait()
    node.close()
    spinner.close()
    return spinner.exit_code(logger)
