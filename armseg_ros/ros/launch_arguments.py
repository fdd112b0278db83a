# SPDX-License-Identifier: Apache-2.0
"""Launch arguments made from a node's own table of parameters, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from armseg_ros.ros.shared_memory import shared_memory_environment


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
            description=f"{argument.description} (not given: {otherwise})",
            choices=["", *argument.choices] if argument.choices else None,
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


def common_arguments() -> list[DeclareLaunchArgument]:
    """Declare what every launch file of this package has."""
    return [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=["true", "false"],
            description="take the time from /clock",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="least severe log messages to show",
        ),
    ]
