# SPDX-License-Identifier: Apache-2.0
"""Ask a running segmenter node about one image at a time."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import InvalidNamespaceException
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from armseg_ros.errors import ConfigError, DataError
from armseg_ros.msg import InstanceArray, SegmentationQuality
from armseg_ros.quality.result import Quality
from armseg_ros.ros import messages, quality_messages
from armseg_ros.ros.images import stamp_ns
from armseg_ros.ros.qos import RESULT_QOS, image_qos
from armseg_ros.ros.shared_memory import use_shared_memory
from armseg_ros.ros.spinner import Spinner
from armseg_ros.types import Detections, StageTimes, Uint8Array

IMAGE_DEPTH = 5
POLL_S = 0.05
SETTLE_S = 0.2  # the node may learn of us a moment after we learned of it


class NoAnswerError(DataError):
    """The node did not answer an image in time, or is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveAnswer:
    """What a node said about one image.

    Attributes:
        detections: The instances, in source pixels.
        times: Wall time per stage within the node, in milliseconds.
        age_at_receive_ms: From stamp to arrival at the node.
        dropped_since_last: Images that the node dropped since its answer before this one.
        backend: Engine and device, such as ``onnxruntime-cpu``.
        model_id: Model name and start of its hash.
        round_trip_ms: From publishing the image to the arrival of the answer.
        quality: The flags of the node; None where it publishes none.
    """

    detections: Detections
    times: StageTimes
    age_at_receive_ms: float
    dropped_since_last: int
    backend: str
    model_id: str
    round_trip_ms: float
    quality: Quality | None = None


class LiveSegmenterClient:
    """Publishes images and collects the answers; a context manager that leaves ROS again.

    It has an rclpy context and a thread of its own, so it neither needs nor disturbs another node
    of the process. It outlives the segmenter: images to a dead one have no answer, and once it
    is back they have one again.
    """

    def __init__(
        self,
        *,
        image_transport: str = "raw",
        image_reliability: str = "reliable",
        image_topic: str = "image",
        instances_topic: str = "segmenter/instances",
        quality_topic: str = "segmenter/quality",
        namespace: str = "/",
        domain_id: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Join the graph.

        Args:
            image_transport: ``raw`` or ``compressed``, as the node's parameter.
            image_reliability: ``reliable`` reaches every node; ``best_effort`` acts as a camera.
            image_topic: Topic without ``/compressed``.
            instances_topic: Topic of the answers.
            quality_topic: Topic of the flags.
            namespace: Of this client; relative topics lie in it.
            domain_id: DDS domain; None takes that of the environment.
            check: Called during every wait, for a segmenter or an answer; may raise to end it.

        Raises:
            ConfigError: The namespace is none.
        """
        use_shared_memory()
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain_id)
        self._node = _create_node(context, namespace)
        self._arrived = threading.Condition()
        self._awaited_ns = 0
        self._listeners = self._segmenters = 0  # that ever took images, or gave answers
        self._check = check or (lambda: None)
        self._answer: tuple[InstanceArray, float] | None = None
        self._last_stamp_ns = 0
        self._quality: SegmentationQuality | None = None  # of the last image that was asked about
        compressed = image_transport == "compressed"
        self._publisher = self._node.create_publisher(
            CompressedImage if compressed else Image,
            f"{image_topic}/compressed" if compressed else image_topic,
            image_qos(image_reliability, IMAGE_DEPTH),
            event_callbacks=PublisherEventCallbacks(matched=self._on_listener),
        )
        self._subscription = self._node.create_subscription(
            InstanceArray,
            instances_topic,
            self._on_instances,
            RESULT_QOS,
            event_callbacks=SubscriptionEventCallbacks(matched=self._on_segmenter),
        )
        self._quality_subscription = self._node.create_subscription(
            SegmentationQuality, quality_topic, self._on_quality, RESULT_QOS
        )
        self._spinner = Spinner(self._node)

    def __enter__(self) -> LiveSegmenterClient:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph; a second call does nothing."""
        self._spinner.close()

    @property
    def connected(self) -> bool:
        """Whether a node takes the images and one gives answers, and we have met both."""
        return bool(
            self._publisher.get_subscription_count()
            and self._node.count_publishers(self._subscription.topic_name)
            and self._listeners
            and self._segmenters
        )

    def wait_for_segmenter(
        self, timeout_s: float = 30.0, check: Callable[[], None] | None = None
    ) -> None:
        """Wait until a segmenter takes images and gives answers.

        Args:
            timeout_s: Longest wait in seconds.
            check: Called while waiting; may raise, as ``SegmenterProcess.check_running`` does.

        Raises:
            NoAnswerError: None came in time.
        """
        end = time.monotonic() + timeout_s
        while not self.connected:
            self._check()
            if check is not None:
                check()
            if time.monotonic() > end:
                raise NoAnswerError(
                    f"no segmenter between {self._publisher.topic_name} and "
                    f"{self._subscription.topic_name} after {timeout_s:.0f} s; start one, and "
                    "check image_transport (--transport of armseg evaluate), topics and "
                    "ROS_DOMAIN_ID"
                )
            time.sleep(POLL_S)
        time.sleep(SETTLE_S)

    def ask_image(self, image: Uint8Array, timeout_s: float = 10.0) -> LiveAnswer:
        """Send an (H, W, 3) uint8 BGR image and wait for its instances.

        Raises:
            NoAnswerError: No segmenter is there, or it did not answer in time.
            DataError: The answer is damaged.
        """
        header = self._next_header()
        return self._ask(messages.image_to_message(image, "bgr8", header), timeout_s)

    def ask_encoded(
        self, encoded: bytes, image_format: str = "jpeg", timeout_s: float = 10.0
    ) -> LiveAnswer:
        """Send a picture file as it is and wait for its instances; raises as ``ask_image``."""
        header = self._next_header()
        return self._ask(messages.encoded_to_message(encoded, image_format, header), timeout_s)

    def _next_header(self) -> Header:
        """Stamp with now, later than every stamp before: answers are matched by it."""
        self._last_stamp_ns = max(time.time_ns(), self._last_stamp_ns + 1)
        return Header(stamp=messages.time_message(self._last_stamp_ns), frame_id="armseg_live")

    def _ask(self, message: Image | CompressedImage, timeout_s: float) -> LiveAnswer:
        if not self.connected:
            raise NoAnswerError(f"no segmenter listens to {self._publisher.topic_name} any more")
        with self._arrived:
            self._awaited_ns, self._answer = stamp_ns(message.header.stamp), None
            self._quality = None
        start = time.perf_counter()
        answer = self._publish_until_answered(message, start + timeout_s)
        if answer is None:
            raise NoAnswerError(
                f"no answer on {self._subscription.topic_name} within {timeout_s:g} s; "
                "/diagnostics of the node may say why"
            )
        return _live_answer(answer[0], self._wait_for_quality(), (answer[1] - start) * 1e3)

    def _publish_until_answered(
        self, message: Image | CompressedImage, end: float
    ) -> tuple[InstanceArray, float] | None:
        """Publish, and once more to each segmenter that appears meanwhile.

        DDS takes a killed node for alive for 20 seconds, so an image may have gone to a dead one
        while its successor was starting.
        """
        while True:
            with self._arrived:
                known = self._listeners, self._segmenters
            self._publisher.publish(message)
            self._wait(functools.partial(self._has_news, *known), end)
            if self._answer is None and self._has_news(*known):
                self._wait(lambda: self._answer is not None, time.perf_counter() + SETTLE_S)
            with self._arrived:
                if self._answer or time.perf_counter() >= end:
                    self._awaited_ns = 0
                    return self._answer

    def _wait_for_quality(self) -> SegmentationQuality | None:
        """Give the flags a moment: they come on a topic of their own, before or after."""
        if self._node.count_publishers(self._quality_subscription.topic_name):
            self._wait(lambda: self._quality is not None, time.perf_counter() + SETTLE_S)
        return self._quality

    def _wait(self, done: Callable[[], bool], end: float) -> None:
        """Wait until something is done or ``end`` (of ``time.perf_counter``) has come."""
        while (left := end - time.perf_counter()) > 0:
            self._check()
            with self._arrived:
                if self._arrived.wait_for(done, min(left, POLL_S)):
                    return

    def _has_news(self, listeners: int, segmenters: int) -> bool:
        """Whether the answer is there, or a segmenter that takes images and gives answers is new.

        Somebody who only looks at the images is no reason to publish one twice.
        """
        newcomer = self._listeners > listeners and self._segmenters > segmenters
        return self._answer is not None or newcomer

    def _on_listener(self, event: Any) -> None:
        with self._arrived:
            self._listeners += max(0, event.current_count_change)
            self._arrived.notify()

    def _on_segmenter(self, event: Any) -> None:
        with self._arrived:
            self._segmenters += max(0, event.current_count_change)
            self._arrived.notify()

    def _on_instances(self, message: InstanceArray) -> None:
        """Keep the answer that is waited for; late ones to earlier images are nobody's."""
        now = time.perf_counter()
        with self._arrived:
            if stamp_ns(message.header.stamp) == self._awaited_ns:
                self._answer = message, now
                self._arrived.notify()

    def _on_quality(self, message: SegmentationQuality) -> None:
        with self._arrived:
            if stamp_ns(message.header.stamp) == self._last_stamp_ns:
                self._quality = message
                self._arrived.notify()


def _create_node(context: rclpy.Context, namespace: str) -> Any:
    try:
        return rclpy.create_node("armseg_live_client", context=context, namespace=namespace)
    except InvalidNamespaceException as error:
        rclpy.try_shutdown(context=context)
        raise ConfigError(f"{namespace!r} is no ROS namespace: {error}") from error


def _live_answer(
    message: InstanceArray, quality: SegmentationQuality | None, round_trip_ms: float
) -> LiveAnswer:
    return LiveAnswer(
        detections=messages.detections_from_message(message),
        times=messages.times_from_message(message.times),
        age_at_receive_ms=message.times.age_at_receive,
        dropped_since_last=message.times.dropped_since_last,
        backend=message.backend,
        model_id=message.model_id,
        round_trip_ms=round_trip_ms,
        quality=None
        if quality is None
        else quality_messages.quality_from_messages(message, quality),
    )
