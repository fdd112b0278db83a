# SPDX-License-Identifier: Apache-2.0
"""The evaluator node: measures a bag picture by picture, shows what it does, and ends.

It reads the bag itself, so no picture is lost however slow the answers are. With ``live`` each one
goes through a running segmenter node and is waited for; without, the model runs in this process.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from armseg_ros.backends.base import EngineSettings, choose_backend
from armseg_ros.data.source import open_source
from armseg_ros.errors import ArmsegError, ConfigError
from armseg_ros.evaluate.answer import Answerer, InProcess
from armseg_ros.evaluate.live import connected_to_node
from armseg_ros.evaluate.overlays import above
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.table_text import table_text
from armseg_ros.msg import InstanceArray
from armseg_ros.overlay import draw_overlay
from armseg_ros.quality.shipped import open_flags
from armseg_ros.ros import messages
from armseg_ros.ros.qos import PICTURE_QOS, RESULT_QOS
from armseg_ros.ros.spinner import Spinner, init_ros
from armseg_ros.types import Detections, Frame, Instances, StageTimes

STARTED_BADLY = 2
OVERLAY_SCALE = 0.5
_DEFAULTS = EvaluateConfig()

PARAMETERS: dict[str, tuple[Any, str]] = {
    "source": ("", "bag, COCO folder or file, or folder of pictures"),
    "run": ("", "run folder to write; it must be empty or new"),
    "split": ("", "train, val or test, where the source holds several"),
    "live": (False, "ask a running segmenter node instead of a model"),
    "image_transport": ("raw", "live: what the node listens to, raw or compressed"),
    "timeout_s": (10.0, "live: seconds to wait for an answer"),
    "model": ("", "path of an ONNX model; empty takes the one that is shipped"),
    "backend": ("auto", "inference engine; auto takes the fastest that works here"),
    "precision": ("auto", "what the engine computes in; auto takes its fastest"),
    "threads": (0, "CPU threads of the engine; 0 leaves the choice to it"),
    "score_threshold": (_DEFAULTS.score_threshold, "lowest score that is recorded"),
    "iou_threshold": (_DEFAULTS.iou_threshold, "box overlap above which one is suppressed"),
    "max_detections": (_DEFAULTS.max_detections, "most instances per picture"),
    "operating_threshold": (
        _DEFAULTS.operating_threshold,
        "lowest score in overlays and in the counts of found and missed",
    ),
    "operating_iou_threshold": (
        _DEFAULTS.operating_iou_threshold,
        "box overlap above which the node suppresses one, for overlays, flags and split figures",
    ),
    "quality_model": ("", "path of a quality model; empty takes the one that is shipped"),
    "group_by": ("", "attribute that names the scene of a picture, for intervals"),
    "seed_compat": (False, "also give the split figures as Tensorleap's ARMBench example does"),
    "overlays": (_DEFAULTS.overlays, "most overlays to write"),
    "limit": (_DEFAULTS.limit, "most pictures; 0 takes all"),
    "publish": (True, "publish image, predictions and ground truth while it goes"),
    "rate_hz": (0.0, "most pictures a second, for people to follow; 0 does not wait"),
}


class StoppedError(Exception):
    """A signal came while the evaluator was waiting for a segmenter or its answer."""


class Rate:
    """Holds a rate, and lets go at once when it is told to stop."""

    def __init__(self, rate_hz: float, stop: threading.Event) -> None:
        """Take the highest rate in Hz; 0 or less does not wait."""
        self._period = 1.0 / rate_hz if rate_hz > 0 else 0.0
        self._stop = stop
        self._due = 0.0

    def hold(self) -> None:
        """Wait until a period after the last return."""
        if self._period:
            self._stop.wait(max(0.0, self._due - time.monotonic()))
            self._due = time.monotonic() + self._period


class EvaluatorNode(Node):
    """Publishes what the evaluation does; the evaluation itself is ``evaluate_with``."""

    def __init__(self, **options: Any) -> None:
        """Read the parameters.

        Args:
            **options: Of ``rclpy.node.Node``.

        Raises:
            rclpy.exceptions.ParameterException: A parameter is of another type.
        """
        super().__init__("evaluator", **options)
        self.values = {
            name: self.declare_parameter(
                name, default, ParameterDescriptor(description=text, read_only=True)
            ).value
            for name, (default, text) in PARAMETERS.items()
        }
        self._image = self.create_publisher(Image, "~/image", PICTURE_QOS)
        self._overlay = self.create_publisher(Image, "~/overlay", PICTURE_QOS)
        self._truth_overlay = self.create_publisher(Image, "~/ground_truth_overlay", PICTURE_QOS)
        self._predictions = self.create_publisher(InstanceArray, "~/predictions", RESULT_QOS)
        self._truth = self.create_publisher(InstanceArray, "~/ground_truth", RESULT_QOS)

    def show(self, frame: Frame, detections: Detections, truth: Instances | None) -> None:
        """Publish one answered picture; pictures only for who looks."""
        if self.context.ok() and self.values["publish"]:
            header = Header(stamp=messages.time_message(frame.stamp_ns), frame_id=frame.frame_id)
            shown = above(detections, self.values["operating_threshold"])
            self._publish_instances(self._predictions, frame, shown, header)
            if self._image.get_subscription_count():
                self._image.publish(messages.image_to_message(frame.image, "bgr8", header))
            self._draw(self._overlay, frame, shown, header)
            if truth is not None:
                self._publish_instances(self._truth, frame, truth, header)
                self._draw(self._truth_overlay, frame, truth, header)

    def _publish_instances(
        self, publisher: Any, frame: Frame, instances: Instances, header: Header
    ) -> None:
        message = messages.instance_array(instances, header, frame.hw)
        message.sample_id = frame.sample_id
        message.times = messages.times_to_message(StageTimes())
        publisher.publish(message)

    def _draw(self, publisher: Any, frame: Frame, instances: Instances, header: Header) -> None:
        if publisher.get_subscription_count():
            picture = draw_overlay(frame.image, instances, OVERLAY_SCALE)
            publisher.publish(messages.image_to_message(picture, "bgr8", header))


def evaluate_with(node: EvaluatorNode, stop: threading.Event) -> bool:
    """Run the evaluation that a node's parameters ask for.

    Returns:
        Whether it went through to the end.

    Raises:
        ArmsegError: A parameter, the source or the model is at fault.
        StoppedError: ``stop`` was set while it waited for a segmenter or its answer; what was
            answered before is written.
    """
    values = node.values
    for name in ("source", "run"):
        if not values[name]:
            raise ConfigError(f"parameter {name} is empty: {PARAMETERS[name][1]}")
    names = EvaluateConfig.__slots__
    config = EvaluateConfig(**{name: values[name] for name in names})
    source = open_source(Path(values["source"]).expanduser(), values["split"] or None)
    folder = Path(values["run"]).expanduser()
    rate = Rate(values["rate_hz"], stop)

    def observe(frame: Frame, detections: Detections, truth: Instances | None) -> None:
        node.show(frame, detections, truth)
        rate.hold()

    with _answerer(node, config, stop) as answerer:
        summary = evaluate(
            source,
            answerer,
            config,
            folder,
            stop=stop.is_set,
            observe=observe,
        )
    for line in filter(None, table_text(summary).splitlines()):
        node.get_logger().info(line)
    complete = bool(summary["complete"])
    node.get_logger().info(f"{folder} {'is complete' if complete else 'is incomplete: stopped'}")
    return complete


@contextlib.contextmanager
def _answerer(
    node: EvaluatorNode, config: EvaluateConfig, stop: threading.Event
) -> Iterator[Answerer]:
    def check() -> None:
        if stop.is_set():
            raise StoppedError

    values = node.values
    if values["live"]:
        transport = values["image_transport"]
        if config.seed_compat:
            raise ConfigError("seed_compat needs the network's answer, which no node tells")
        if transport not in ("raw", "compressed"):
            raise ConfigError(f"image_transport is {transport!r}, but must be raw or compressed")
        with connected_to_node(
            transport, values["timeout_s"], check, namespace=node.get_namespace()
        ) as live:
            yield live
        return
    flags = open_flags(values["quality_model"])
    model = Path(values["model"]).expanduser() if values["model"] else None
    settings = EngineSettings(values["threads"], precision=values["precision"])
    choice = choose_backend(model, values["backend"], settings)
    node.get_logger().info(f"{choice}")
    try:
        yield InProcess(
            choice.backend,
            config.segmenter(),
            operating=config.operating(),
            flags=flags,
            seed_compat=config.seed_compat,
        )
    finally:
        choice.backend.close()


def main(arguments: list[str] | None, stop: threading.Event) -> int:
    """Run the node until the evaluation is done or it is told to stop.

    Args:
        arguments: Command line with ROS arguments; None takes the process's own.
        stop: Set by whoever wants the node to end, such as the thread that hears signals.

    Returns:
        0; 1 when a callback raised; 2 when the evaluation cannot be made (said in one sentence).
    """
    logger = rclpy.logging.get_logger("evaluator")
    try:
        init_ros(arguments)
        node = EvaluatorNode()
    except (ArmsegError, ParameterException) as error:
        logger.fatal(str(error))
        rclpy.try_shutdown()
        return STARTED_BADLY
    spinner = Spinner(node, on_end=stop.set)
    try:
        evaluate_with(node, stop)
    except StoppedError:
        logger.info("stopped while waiting for a segmenter; what it answered is written")
    except ArmsegError as error:
        logger.fatal(str(error))
        return STARTED_BADLY
    finally:
        spinner.close()
    return spinner.exit_code(logger)
