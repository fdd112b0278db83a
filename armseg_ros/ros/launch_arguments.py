# SPDX-License-Identifier: Apache-2.0
"""Launch arguments made from a node's own table of parameters, so that the two cannot differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from armseg_ros.errors import ConfigError
from armseg_ros.ros.shared_memory import shared_memory_environment

CAMERA = "{camera}"  # stands for a camera's name in an image topic


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument that sets one parameter.

    Attributes:
        name: Of argument and parameter.
        default: Of the parameter; its type is what the argument's text is read as.
        description: One line for ``--show-args``.
        choices: Texts allowed; empty allows any.
    """

    name: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()

    def allowed(self) -> tuple[str, ...]:
        """Return the texts allowed, which those of a switch are too; empty allows any."""
        return ("true", "false") if isinstance(self.default, bool) else self.choices


def declare(arguments: Iterable[Argument], otherwise: str) -> list[DeclareLaunchArgument]:
    """Declare arguments that are empty by default, which leaves the parameter alone.

    Args:
        arguments: What to declare.
        otherwise: Said of an argument that is not given, such as ``as in params_file``.
    """
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value="",
            description=f"{argument.description} (not given: {otherwise}, "
            f"by default {json.dumps(argument.default)})",
            choices=["", *argument.allowed()] if argument.allowed() else None,
        )
        for argument in arguments
    ]


def given(context: LaunchContext, arguments: Iterable[Argument]) -> dict[str, Any]:
    """Read the arguments that are not empty, each as the type of its parameter."""
    out = {}
    for argument in arguments:
        text = LaunchConfiguration(argument.name).perform(context)
        if text:
            out[argument.name] = _value(text, argument.default)
    return out


def as_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make parameters of a node from what ``given`` returned.

    Texts are marked as such, for launch reads a plain one as YAML: a run called 2026-11-23 would
    become a date.
    """
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in values.items()
    }


def _value(text: str, default: Any) -> Any:
    """Read a text; what has another type is passed on, for the node refuses it with a sentence."""
    if isinstance(default, str):
        return text
    value = yaml.safe_load(text)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    return value


def shared_memory_actions() -> list[SetEnvironmentVariable]:
    """Give everything launched afterwards the profile that large images need."""
    environment: Mapping[str, str] = shared_memory_environment()
    return [SetEnvironmentVariable(name, value) for name, value in environment.items()]


def is_true(context: LaunchContext, name: str) -> bool:
    """Read an argument that is ``true`` or ``false``."""
    return bool(LaunchConfiguration(name).perform(context) == "true")


def switch(name: str, description: str, default: str = "false") -> DeclareLaunchArgument:
    """Declare an argument that is ``true`` or ``false``."""
    return DeclareLaunchArgument(
        name, default_value=default, choices=["true", "false"], description=description
    )


def camera_topics(cameras: str, image: str) -> dict[str, str]:
    """Name the image topic of each camera.

    Args:
        cameras: Names, separated by commas; empty for one camera without a name.
        image: The topic; ``{camera}`` in it stands for the name.

    Returns:
        Topics by name; a relative one lies in the namespace of its camera.

    Raises:
        ConfigError: A name comes twice, or all cameras would have the same topic.
    """
    names = [name.strip() for name in cameras.split(",") if name.strip()] or [""]
    if len(set(names)) < len(names):
        raise ConfigError(f"cameras is {cameras!r}, but a name may come only once")
    if len(names) > 1 and image.startswith("/") and CAMERA not in image:
        raise ConfigError(
            f"image is {image!r} for {len(names)} cameras; give a relative topic such as "
            f"image_raw, or put {CAMERA} in place of the camera's name"
        )
    return {name: image.replace(CAMERA, name) for name in names}


def join_namespace(*parts: str) -> str:
    """Join namespaces that may be empty."""
    absolute = "/" if parts[0].startswith("/") else ""
    return absolute + "/".join(part.strip("/") for part in parts if part.strip("/"))


def rviz(context: LaunchContext, file_name: str, topics: Mapping[str, str]) -> Node:
    """Start RViz with one of the configurations of this package.

    Args:
        context: Of the launch.
        file_name: Of the configuration.
        topics: Real topics by the names that the configuration has.

    Raises:
        ConfigError: RViz is not installed.
    """
    _require("rviz2", "rviz:=true")
    share = get_package_share_directory("armseg_ros")
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["-d", f"{share}/config/{file_name}"],
        remappings=list(topics.items()),
        parameters=[{"use_sim_time": is_true(context, "use_sim_time")}],
        output="log",
    )


def foxglove(context: LaunchContext) -> Node:
    """Start the bridge that Foxglove connects to, at port 8765.

    Raises:
        ConfigError: It is not installed.
    """
    _require("foxglove_bridge", "foxglove:=true")
    return Node(
        package="foxglove_bridge",
        executable="foxglove_bridge",
        name="foxglove_bridge",
        parameters=[{"use_sim_time": is_true(context, "use_sim_time")}],
        output="log",
    )


def _require(package: str, argument: str) -> None:
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        raise ConfigError(
            f"{argument} needs the package {package}, which is not installed: "
            f"sudo apt install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        ) from error


def common_arguments() -> list[DeclareLaunchArgument]:
    """Declare what every launch file of this package has."""
    return [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        switch("use_sim_time", "take the time from /clock"),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="least severe log messages to show",
        ),
    ]
