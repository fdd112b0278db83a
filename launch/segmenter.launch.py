# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on one camera or several, and what shows its results."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

from armseg_ros.ros import launch_arguments
from armseg_ros.ros.parameters import PARAMETERS

ARGUMENTS = [
    launch_arguments.Argument(p.name, p.default, p.description_with_range(), p.choices)
    for p in PARAMETERS
]
SHOWN = ("overlay", "label_colors")  # topics of the node that config/segmenter.rviz shows


def segmenters(context: LaunchContext) -> list[Node]:
    """Make a node for each camera, and the viewers."""

    def text(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    topics = launch_arguments.camera_topics(text("cameras"), text("image"))
    nodes = []
    for camera, image in topics.items():
        namespace = launch_arguments.join_namespace(text("namespace"), camera)
        nodes.append(segmenter(context, namespace, image))
        if launch_arguments.is_true(context, "rviz"):
            nodes.append(launch_arguments.rviz(context, "segmenter.rviz", shown(namespace, image)))
    if launch_arguments.is_true(context, "foxglove"):
        nodes.append(launch_arguments.foxglove(context))
    return nodes


def segmenter(context: LaunchContext, namespace: str, image: str) -> Node:
    """Make the node, with the parameters that were given over those of the file."""
    return LifecycleNode(
        package="armseg_ros",
        executable="segmenter",
        name="segmenter",
        namespace=namespace,
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            launch_arguments.as_parameters(launch_arguments.given(context, ARGUMENTS)),
            {"use_sim_time": launch_arguments.is_true(context, "use_sim_time")},
        ],
        remappings=[("image", image), ("image/compressed", f"{image}/compressed")],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
    )


def shown(namespace: str, image: str) -> dict[str, str]:
    """Say which topics of RViz's configuration are which of this camera."""
    root = "/" + launch_arguments.join_namespace(namespace).strip("/")
    root = root.rstrip("/")
    topics = {f"/segmenter/{name}": f"{root}/segmenter/{name}" for name in SHOWN}
    return topics | {"/image": image if image.startswith("/") else f"{root}/{image}"}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "image",
                default_value="image",
                description="image topic of the camera, without /compressed; a relative one lies "
                "in the namespace of its camera, {camera} stands for the camera's name",
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="names of several cameras, such as left,right: a segmenter for each, "
                "in the namespace of that name (empty: one camera, no namespace of its own)",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("armseg_ros"), "config", "segmenter.yaml"]
                ),
                description="YAML file of parameters",
            ),
            launch_arguments.switch("rviz", "show images, overlays and label images in RViz"),
            launch_arguments.switch(
                "foxglove", "start the bridge for Foxglove; config/foxglove_layout.json shows all"
            ),
            *launch_arguments.declare(ARGUMENTS, "as in params_file"),
            *launch_arguments.common_arguments(),
            *launch_arguments.shared_memory_actions(),
            OpaqueFunction(function=segmenters),
        ]
    )
