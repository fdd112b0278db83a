# SPDX-License-Identifier: Apache-2.0
"""Render totes into a bag, then evaluate it live: segmenter, evaluator and what shows them."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from armseg_ros.ros import launch_arguments
from armseg_ros.ros.parameters import BY_NAME

ENGINE = ("model", "backend", "threads")  # arguments that evaluate.launch.py takes as well
ARGUMENTS = [
    launch_arguments.Argument(
        name, BY_NAME[name].default, BY_NAME[name].description_with_range(), BY_NAME[name].choices
    )
    for name in ENGINE
]
RENDER_FIRST = "rendering {count} totes of {size} into {folder}; a large one takes some seconds"


def demo(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Render the totes, unless an earlier demo has, and evaluate what there is then."""

    def text(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    output = Path(text("output")).expanduser()
    folder = output / f"totes_{text('count')}_{text('seed')}_{text('size')}"
    evaluation = OpaqueFunction(function=evaluate, args=[output, folder / "test_bag"])
    if (folder / "test_bag" / "metadata.yaml").is_file():
        return [evaluation]
    render = ExecuteProcess(
        cmd=[
            ExecutableInPackage("armseg", "armseg_ros"),
            *("synth", str(folder), "--bag", "--resume", "--split", "test=1"),
            *("-n", text("count"), "--seed", text("seed"), "--size", text("size")),
        ],
        output="screen",
    )

    def rendered(event: object, _: LaunchContext) -> list[LaunchDescriptionEntity]:
        if getattr(event, "returncode", 1) == 0:
            return [evaluation]
        return [Shutdown(reason="the totes could not be rendered")]

    first = RENDER_FIRST.format(count=text("count"), size=text("size"), folder=folder)
    return [
        LogInfo(msg=first),
        RegisterEventHandler(OnProcessExit(target_action=render, on_exit=rendered)),
        render,
    ]


def evaluate(context: LaunchContext, output: Path, bag: Path) -> list[LaunchDescriptionEntity]:
    """Include the evaluation, into a run folder that does not exist yet."""
    number = 1
    while (run := output / f"run_{number}").exists():
        number += 1
    names = [*ENGINE, "rviz", "rate_hz", "use_sim_time", "log_level"]
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    given |= {"source": str(bag), "run": str(run), "live": "true", "timeout_s": "60"}
    folder = PathJoinSubstitution([FindPackageShare("armseg_ros"), "launch"])
    source = PythonLaunchDescriptionSource(PathJoinSubstitution([folder, "evaluate.launch.py"]))
    nodes = [IncludeLaunchDescription(source, launch_arguments=given.items())]
    if launch_arguments.is_true(context, "foxglove"):
        nodes.append(launch_arguments.foxglove(context))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "output", default_value="demo_output", description="folder for totes and runs"
            ),
            DeclareLaunchArgument("count", default_value="8", description="number of totes"),
            DeclareLaunchArgument("seed", default_value="7", description="of the totes"),
            DeclareLaunchArgument(
                "size", default_value="2448x2048", description="of a picture in pixels, WxH"
            ),
            DeclareLaunchArgument(
                "rate_hz",
                default_value="0.0",
                description="most pictures a second, for people to follow; 0.0 does not wait",
            ),
            launch_arguments.switch("rviz", "show pictures, predictions and ground truth in RViz"),
            launch_arguments.switch("foxglove", "start the bridge for Foxglove"),
            *launch_arguments.declare(ARGUMENTS, "the nodes' own default"),
            *launch_arguments.common_arguments()[1:],  # all but the namespace
            *launch_arguments.shared_memory_actions(),
            OpaqueFunction(function=demo),
        ]
    )
