# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on one camera."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from armseg_ros.ros import launch_arguments
from armseg_ros.ros.parameters import PARAMETERS

ARGUMENTS = [
    launch_arguments.Argument(p.name, p.default, p.description, p.choices) for p in PARAMETERS
]


def segmenter(context: LaunchContext) -> list[Node]:
    """Make the node, with the parameters that were given over those of the file."""
    image = LaunchConfiguration("image").perform(context)
    return [
        Node(
            package="armseg_ros",
            executable="segmenter",
            name="segmenter",
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=[
                LaunchConfiguration("params_file"),
                launch_arguments.as_parameters(launch_arguments.given(context, ARGUMENTS)),
                {"use_sim_time": LaunchConfiguration("use_sim_time").perform(context) == "true"},
            ],
            remappings=[("image", image), ("image/compressed", f"{image}/compressed")],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "image",
                default_value="image",
                description="image topic of the camera, without /compressed",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("armseg_ros"), "config", "segmenter.yaml"]
                ),
                description="YAML file of parameters",
            ),
            *launch_arguments.declare(ARGUMENTS, "as in params_file"),
            *launch_arguments.common_arguments(),
            *launch_arguments.shared_memory_actions(),
            OpaqueFunction(function=segmenter),
        ]
    )
