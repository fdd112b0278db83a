# SPDX-License-Identifier: Apache-2.0
"""What the segmenter node publishes; pictures are drawn only while somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import PublisherEventCallbacks, UnsupportedEventTypeError
from sensor_msgs.msg import Image

from armseg_ros.backends.base import Backend
from armseg_ros.masks import paint_labels
from armseg_ros.msg import InstanceArray, SegmentationQuality
from armseg_ros.overlay import draw_labels, draw_overlay
from armseg_ros.quality.draw import draw_suspects
from armseg_ros.ros import messages, quality_messages
from armseg_ros.ros.label_info import publish_label_info
from armseg_ros.ros.optional_outputs import optional_outputs
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS, copy_qos, overridable, refused_policy
from armseg_ros.ros.worker import Answer


class Output:
    """A managed publisher that knows whether anybody listens.

    Attributes:
        publisher: Of rclpy; silent until the node is active.
    """

    def __init__(self, node: Any, kind: Any, topic: str, qos: Any) -> None:
        """Create the publisher; its quality of service can be overridden by parameters."""
        self._node = node
        self._topic = node.resolve_topic_name(topic)  # events may come before the publisher is set
        self._listeners: int | None = 0
        self._told = False
        try:
            self.publisher = self._create(node, kind, topic, qos, matched=self._on_matched)
        except UnsupportedEventTypeError:  # a middleware without matched events: ask each time
            self._listeners = None
            self.publisher = self._create(node, kind, topic, qos)

    def _create(self, node: Any, kind: Any, topic: str, qos: Any, **events: Any) -> Any:
        return node.create_lifecycle_publisher(
            kind,
            topic,
            copy_qos(qos),
            event_callbacks=PublisherEventCallbacks(
                incompatible_qos=self._on_incompatible, **events
            ),
            qos_overriding_options=overridable(),
            # Of its events alone, in their order; see SegmenterNode._listen.
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    @property
    def watched(self) -> bool:
        """Whether somebody subscribes."""
        if self._listeners is None:
            return bool(self.publisher.get_subscription_count())
        return self._listeners > 0

    def publish(self, message: Any) -> None:
        """Publish where the node is active."""
        self.publisher.publish(message)

    def _on_matched(self, event: Any) -> None:
        self._listeners = event.current_count

    def _on_incompatible(self, event: Any) -> None:
        if self._told:
            return
        self._told = True
        topic, policy = self._topic, refused_policy(event)
        self._node.get_logger().warning(
            f"somebody subscribes to {topic} with a {policy} that it is not offered with; change "
            f"it there, or here with the parameter qos_overrides.{topic}.publisher.{policy}"
        )


class Outputs:
    """The topics of one segmenter node."""

    def __init__(self, node: Any) -> None:
        """Create the publishers."""
        self._node = node
        self.instances = Output(node, InstanceArray, "~/instances", RESULT_QOS)
        self.quality = Output(node, SegmentationQuality, "~/quality", RESULT_QOS)
        self.label_image = Output(node, Image, "~/label_image", PICTURE_QOS)
        self.overlay = Output(node, Image, "~/overlay", PICTURE_QOS)
        self.label_colors = Output(node, Image, "~/label_colors", PICTURE_QOS)
        self._others = [
            (Output(node, kind, topic, RESULT_QOS), make)
            for topic, kind, make in optional_outputs()
        ]
        self._label_info: Any = None

    def describe(self, backend: Backend, values: Mapping[str, Any]) -> None:
        """Publish the class names of a model that is new, in place of those before."""
        if self._label_info is not None:
            self._node.destroy_publisher(self._label_info)
        names, threshold = backend.model.class_names, values["score_threshold"]
        self._label_info = publish_label_info(self._node, names, threshold)

    def publish(self, answer: Answer, values: Mapping[str, Any]) -> None:
        """Publish an answer.

        Args:
            answer: The segmented image.
            values: Of the node's parameters.
        """
        header, frame = answer.arrival.message.header, answer.frame
        detections = answer.segmentation.detections
        out = messages.instance_array(detections, header, frame.hw)
        out.model_id, out.backend = answer.backend.model.model_id, answer.backend.name
        out.times = messages.times_to_message(
            answer.segmentation.times,
            age_at_receive=answer.arrival.age_ms,
            dropped_since_last=answer.dropped_since_last,
        )
        quality = answer.segmentation.quality
        if quality is not None:
            quality_messages.flag_instances(out, quality)
            self.quality.publish(quality_messages.quality_to_message(quality, header))
        self.instances.publish(out)
        self._publish_pictures(answer, values)
        for output, make in self._others:
            if output.watched:
                output.publish(make(detections, header, answer.backend))

    def _publish_pictures(self, answer: Answer, values: Mapping[str, Any]) -> None:
        """Draw what somebody looks at."""
        header, frame = answer.arrival.message.header, answer.frame
        detections, quality = answer.segmentation.detections, answer.segmentation.quality
        if self.label_image.watched:
            labels = paint_labels(detections.masks, frame.hw)
            self.label_image.publish(messages.labels_to_message(labels, len(detections), header))
        scale = values["overlay_scale"]
        if self.label_colors.watched:
            picture = draw_labels(detections, frame.hw, scale)
            self.label_colors.publish(messages.image_to_message(picture, "bgr8", header))
        if self.overlay.watched:
            picture = draw_overlay(frame.image, detections, scale)
            if quality is not None:
                draw_suspects(picture, detections, quality, scale)
            self.overlay.publish(messages.image_to_message(picture, "bgr8", header))

    def close(self) -> None:
        """Destroy the publishers."""
        pictures = (self.label_image, self.label_colors, self.overlay)
        others = (output for output, _ in self._others)
        for output in (self.instances, self.quality, *pictures, *others):
            self._node.destroy_lifecycle_publisher(output.publisher)
        if self._label_info is not None:
            self._node.destroy_publisher(self._label_info)
