# SPDX-License-Identifier: Apache-2.0
"""The parameters of the segmenter node, in one table: names, defaults, ranges, descriptions.

``config/segmenter.yaml`` and the table of README.md are made of it by
``python -m armseg_ros.ros.parameter_documents``; launch files take their arguments from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from armseg_ros.backends.base import BACKENDS, MOST_THREADS, PRECISIONS
from armseg_ros.config import DecodeConfig, QualityConfig, SegmenterConfig
from armseg_ros.errors import ConfigError
from armseg_ros.ros.qos import RELIABILITIES

ALL_CLASSES = -1  # an empty list has no type in ROS parameters, so it cannot say "all"
TRANSPORTS = ("raw", "compressed")
_DECODE = DecodeConfig()
_QUALITY = QualityConfig()


@dataclass(frozen=True, slots=True)
class NodeParameter:
    """One parameter.

    Attributes:
        name: Its name.
        default: Value where none is given; its type is the type of the parameter.
        description: One line for people, with the unit.
        limits: Lowest and highest number allowed, or None.
        choices: Texts allowed; empty allows any.
        unit: Of the number, such as ``ms``; empty where it has none.
        when: From when a new value counts: ``live`` from the next image on, ``reload`` from the
            next ``~/reload_model`` or ``configure`` on; ``start`` is read once.
    """

    name: str
    default: str | bool | int | float | list[int]
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    when: Literal["live", "reload", "start"] = "live"

    def allowed(self) -> str:
        """Say what values are allowed: a range with its unit, or the choices; may be empty."""
        if self.limits is None:
            return ", ".join(self.choices)
        return f"{self.limits[0]:g} to {self.limits[1]:g} {self.unit}".rstrip()

    def description_with_range(self) -> str:
        """Describe it with its range, for where choices are shown beside."""
        return (
            self.description
            if self.choices or not self.limits
            else (f"{self.description}; {self.allowed()}")
        )


PARAMETERS = (
    NodeParameter(
        "autostart",
        True,
        "configure and activate at the start; false waits for ros2 lifecycle",
        when="start",
    ),
    NodeParameter(
        "model", "", "path of an ONNX model; empty takes the one that is shipped", when="reload"
    ),
    NodeParameter(
        "backend",
        "auto",
        "inference engine; auto takes the fastest that works here",
        choices=BACKENDS,
        when="reload",
    ),
    NodeParameter(
        "precision",
        "auto",
        "what the engine computes in; auto takes its fastest that keeps the accuracy",
        choices=PRECISIONS,
        when="reload",
    ),
    NodeParameter(
        "threads",
        0,
        "CPU threads of the engine; 0 leaves the choice to it",
        limits=(0, MOST_THREADS),
        when="reload",
    ),
    NodeParameter(
        "quality_model",
        "",
        "path of a quality model; empty takes the one of the shipped detector",
        when="reload",
    ),
    NodeParameter(
        "image_transport",
        "raw",
        "raw subscribes to image (sensor_msgs/Image), compressed to image/compressed",
        choices=TRANSPORTS,
        when="start",
    ),
    NodeParameter(
        "image_reliability",
        "reliable",
        "best_effort is needed where the camera offers no more, and loses large images without "
        "the shared memory profile",
        choices=tuple(RELIABILITIES),
        when="start",
    ),
    NodeParameter(
        "image_depth",
        5,
        "images that the middleware holds; the newest always wins, so this adds no delay",
        limits=(1, 100),
        when="start",
    ),
    NodeParameter(
        "score_threshold", _DECODE.score_threshold, "lowest score of an instance", limits=(0.0, 1.0)
    ),
    NodeParameter(
        "iou_threshold",
        _DECODE.iou_threshold,
        "box overlap above which the lower score is suppressed",
        limits=(0.0, 1.0),
    ),
    NodeParameter(
        "max_detections", _DECODE.max_detections, "most instances per image", limits=(1, 1000)
    ),
    NodeParameter("class_ids", [ALL_CLASSES], "classes to keep: 0 Object, 1 Tote; [-1] keeps all"),
    NodeParameter(
        "over_threshold",
        _QUALITY.over_threshold,
        "probability from which an image or a pair counts as split objects",
        limits=(0.0, 1.0),
    ),
    NodeParameter(
        "under_threshold",
        _QUALITY.under_threshold,
        "probability from which an image or a mask counts as merged objects",
        limits=(0.0, 1.0),
    ),
    NodeParameter(
        "max_age_ms",
        0.0,
        "drop images that are older; 0 keeps all, as it must be where the clocks of camera and "
        "computer differ",
        limits=(0.0, 60000.0),
        unit="ms",
    ),
    NodeParameter(
        "overlay_scale", 0.5, "size of the overlay relative to the image", limits=(0.05, 1.0)
    ),
    NodeParameter(
        "warn_latency_ms",
        0.0,
        "warn on /diagnostics where the 99th percentile of the time from arrival to answer is "
        "higher, and call it an error where the median is; 0 never does",
        limits=(0.0, 60000.0),
        unit="ms",
    ),
    NodeParameter(
        "warn_rate_hz",
        0.0,
        "warn on /diagnostics where fewer images are answered per second; 0 never does",
        limits=(0.0, 1000.0),
        unit="Hz",
    ),
    NodeParameter(
        "warn_memory_mb",
        0.0,
        "warn on /diagnostics where the process takes more memory; 0 never does",
        limits=(0.0, 1e6),
        unit="MB",
    ),
)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def declare_parameters(node: Any) -> dict[str, Any]:
    """Declare the table on a node.

    Returns:
        The values in force, by name.

    Raises:
        ConfigError: A text is none of the allowed ones.
        rclpy.exceptions.ParameterException: A value has another type or leaves its range.
    """
    values = {
        parameter.name: node.declare_parameter(
            parameter.name, parameter.default, descriptor(parameter)
        ).value
        for parameter in PARAMETERS
    }
    check_choices(values)
    segmenter_config(values)
    return values


def descriptor(parameter: NodeParameter) -> ParameterDescriptor:
    """Describe a parameter to ROS: ``ros2 param describe`` shows it, its range is enforced."""
    out = ParameterDescriptor(
        description=parameter.description,
        read_only=parameter.when == "start",
        additional_constraints=f"one of {parameter.allowed()}"
        if parameter.choices
        else parameter.unit,
    )
    if parameter.limits is not None:
        low, high = parameter.limits
        if isinstance(parameter.default, int):
            out.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            out.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return out


def check_choices(values: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` where a text is none of the allowed ones, or a number is not finite.

    NaN passes every range that ROS checks: it is neither too low nor too high.
    """
    for parameter in PARAMETERS:
        value = values.get(parameter.name)
        if parameter.choices and value is not None and value not in parameter.choices:
            raise ConfigError(
                f"parameter {parameter.name} is {value!r}, "
                f"but must be one of {', '.join(parameter.choices)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(
                f"parameter {parameter.name} is {value}, but must be {parameter.allowed()}"
            )


def segmenter_config(values: Mapping[str, Any]) -> SegmenterConfig:
    """Make the segmenter's settings of the parameters.

    Raises:
        ConfigError: A value is out of range; the message names key, value and range.
    """
    classes: Iterable[int] = values["class_ids"] or [ALL_CLASSES]  # ROS reads [] as nothing
    return SegmenterConfig(
        decode=DecodeConfig(
            score_threshold=values["score_threshold"],
            iou_threshold=values["iou_threshold"],
            max_detections=values["max_detections"],
            class_ids=() if ALL_CLASSES in classes else tuple(classes),
        ),
        quality=QualityConfig(values["over_threshold"], values["under_threshold"]),
    )
