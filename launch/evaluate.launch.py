# SPDX-License-Identifier: Apache-2.0
"""Measure a bag: bag in, run folder out; with live:=true through a segmenter node."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from armseg_ros.ros import launch_arguments
from armseg_ros.ros.evaluator_node import PARAMETERS
from armseg_ros.ros.parameters import BY_NAME

REQUIRED = ("source", "run")
ARGUMENTS = [
    launch_arguments.Argument(name, default, description)
    for name, (default, description) in PARAMETERS.items()
]
OPTIONAL = [argument for argument in ARGUMENTS if argument.name not in REQUIRED]
# The node must decode as the evaluation would by itself: average precision needs low scores.
NODE_DEFAULTS = ("score_threshold", "iou_threshold", "max_detections")
SHOWN = ("image", "overlay", "ground_truth_overlay")  # topics of config/evaluator.rviz

# After SIGINT the evaluator computes and writes the summary of what it has; launch's own patience
# of 5 seconds each would destroy the run.
WRITING_S = "120"


def evaluator(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Make the evaluator, and the node it asks where it is to ask one."""
    values = launch_arguments.given(context, ARGUMENTS)
    node = Node(
        package="armseg_ros",
        executable="evaluator",
        name="evaluator",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            launch_arguments.as_parameters(values),
            {"use_sim_time": launch_arguments.is_true(context, "use_sim_time")},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        on_exit=Shutdown(),
        sigterm_timeout=WRITING_S,
        sigkill_timeout=WRITING_S,
    )
    nodes = [node]
    if launch_arguments.is_true(context, "rviz"):
        nodes.append(launch_arguments.rviz(context, "evaluator.rviz", shown(context)))
    if not (values.get("live") and launch_arguments.is_true(context, "start_segmenter")):
        return nodes
    settings = {name: PARAMETERS[name][0] for name in NODE_DEFAULTS} | values
    shared = {name: str(value) for name, value in settings.items() if name in BY_NAME}
    folder = PathJoinSubstitution([FindPackageShare("armseg_ros"), "launch"])
    source = PythonLaunchDescriptionSource(PathJoinSubstitution([folder, "segmenter.launch.py"]))
    return [IncludeLaunchDescription(source, launch_arguments=shared.items()), *nodes]


def shown(context: LaunchContext) -> dict[str, str]:
    """Say which topics of RViz's configuration are which of this namespace."""
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    root = f"/{namespace}/evaluator" if namespace else "/evaluator"
    return {f"/evaluator/{name}": f"{root}/{name}" for name in SHOWN}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the evaluator."""
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, description=PARAMETERS[name][1]) for name in REQUIRED),
            *launch_arguments.declare(OPTIONAL, "the evaluator's own default"),
            launch_arguments.switch(
                "start_segmenter",
                "live: start the segmenter too, instead of asking a running one",
                default="true",
            ),
            launch_arguments.switch("rviz", "show pictures, predictions and ground truth in RViz"),
            *launch_arguments.common_arguments(),
            *launch_arguments.shared_memory_actions(),
            OpaqueFunction(function=evaluator),
        ]
    )
