# SPDX-License-Identifier: Apache-2.0
"""The launch files, with a real ROS 2 launch where it is installed (it is not on PyPI)."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import totes

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch.actions", reason="launch comes with a ROS 2 installation only")
pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS 2 installation only")
pytest.importorskip("launch_pytest", reason="launch_pytest is not installed")
import launch_pytest
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.utilities import perform_substitutions
from networks import write_network

from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.errors import ConfigError
from armseg_ros.ros import launch_arguments
from armseg_ros.ros.evaluator_node import PARAMETERS as EVALUATOR_PARAMETERS
from armseg_ros.ros.live_client import LiveSegmenterClient
from armseg_ros.ros.parameters import PARAMETERS
from armseg_ros.ros.shared_memory import profile_variable, shared_memory_environment

ROOT = Path(__file__).parents[2]
COMMON = {"namespace", "use_sim_time", "log_level"}


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """Find the installed package; its nodes run the modules of this source tree all the same."""
    patch = pytest.MonkeyPatch()
    if not os.environ.get("AMENT_PREFIX_PATH"):
        patch.setenv("AMENT_PREFIX_PATH", sys.prefix)
    yield
    patch.undo()


def include(name: str, **arguments: str) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def launch_file(name: str) -> Any:
    spec = importlib.util.spec_from_file_location("launch_file", ROOT / "launch" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared(name: str) -> dict[str, DeclareLaunchArgument]:
    arguments = launch_file(name).generate_launch_description().get_launch_arguments()
    return {argument.name: argument for argument in arguments}


def test_every_parameter_is_an_argument_at_top_level() -> None:
    """What ``ros2 launch ... --show-args`` lists."""
    segmenter = declared("segmenter.launch.py")
    viewers = {"rviz", "foxglove"}
    own = {"image", "cameras", "params_file"}
    assert set(segmenter) == COMMON | {p.name for p in PARAMETERS} | own | viewers
    for parameter in PARAMETERS:
        argument = segmenter[parameter.name]
        assert argument.description.startswith(parameter.description)
        assert f"by default {json.dumps(parameter.default)})" in argument.description
        if parameter.limits:
            assert parameter.allowed() in argument.description
        allowed = ("true", "false") if parameter.default is True else parameter.choices
        assert argument.choices == (["", *allowed] if allowed else None)
    evaluate = declared("evaluate.launch.py")
    assert set(evaluate) == COMMON | set(EVALUATOR_PARAMETERS) | {"start_segmenter", "rviz"}
    assert evaluate["source"].default_value is None
    demo = declared("demo.launch.py")
    assert {"output", "count", "seed", "size", "rate_hz", "backend"} | viewers < set(demo)
    for argument in [*segmenter.values(), *evaluate.values(), *demo.values()]:
        assert argument.description


def test_launch_files_name_the_shared_memory_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(profile_variable(), raising=False)
    if not shared_memory_environment():
        pytest.skip("/dev/shm is too small for the profile")
    for name in ("segmenter.launch.py", "evaluate.launch.py", "demo.launch.py"):
        entities = launch_file(name).generate_launch_description().entities
        [profile] = [e for e in entities if isinstance(e, SetEnvironmentVariable)]
        context = LaunchContext()
        path = perform_substitutions(context, profile.value)
        assert perform_substitutions(context, profile.name) == profile_variable()
        assert Path(path).name == "fastdds_shm.xml"
        assert Path(path).is_file()


def test_topics_of_several_cameras() -> None:
    topics = launch_arguments.camera_topics
    assert topics("", "/cam/image_raw") == {"": "/cam/image_raw"}
    assert topics("left, right", "image_raw") == {"left": "image_raw", "right": "image_raw"}
    assert topics("a,b", "/{camera}/rgb") == {"a": "/a/rgb", "b": "/b/rgb"}
    assert topics("a", "/rgb") == {"a": "/rgb"}
    with pytest.raises(ConfigError, match="only once"):
        topics("a,a", "rgb")
    with pytest.raises(ConfigError, match="2 cameras"):
        topics("a,b", "/rgb")
    joined = [
        launch_arguments.join_namespace(*parts) for parts in (("", ""), ("/", "a"), ("x/", "a"))
    ]
    assert joined == ["", "/a", "x/a"]


def test_viewer_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    context = LaunchContext()
    context.launch_configurations["use_sim_time"] = "false"
    with pytest.raises(ConfigError, match="rviz:=true needs the package rviz2"):
        launch_arguments.rviz(context, "segmenter.rviz", {})
    with pytest.raises(ConfigError, match="foxglove:=true needs the package foxglove_bridge"):
        launch_arguments.foxglove(context)


def test_viewer_gets_the_topics_of_its_camera() -> None:
    shown = launch_file("segmenter.launch.py").shown
    assert shown("", "image") == {
        "/image": "/image",
        "/segmenter/overlay": "/segmenter/overlay",
        "/segmenter/label_colors": "/segmenter/label_colors",
    }
    assert shown("line/left", "image_raw")["/image"] == "/line/left/image_raw"
    assert shown("/left", "/cam/rgb") == {
        "/image": "/cam/rgb",
        "/segmenter/overlay": "/left/segmenter/overlay",
        "/segmenter/label_colors": "/left/segmenter/label_colors",
    }


@launch_pytest.fixture
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> LaunchDescription:
    model = write_network(tmp_path_factory.mktemp("model") / "tiny.onnx")
    arguments = {
        "image": "/cam/image_raw",
        "namespace": "line_1",
        "model": str(model),
        "threads": "1",
        "class_ids": "[0]",
        "score_threshold": "0",
    }
    return LaunchDescription(
        [include("segmenter.launch.py", **arguments), launch_pytest.actions.ReadyToTest()]
    )


@pytest.mark.launch(fixture=segmenter)
def test_launched_segmenter_answers_its_camera() -> Any:
    with LiveSegmenterClient(
        image_topic="/cam/image_raw", instances_topic="/line_1/segmenter/instances"
    ) as client:
        client.wait_for_segmenter(60)
        answer = client.ask_image(np.zeros((64, 64, 3), np.uint8), 30)
    assert answer.model_id.startswith("tiny@")
    assert len(answer.detections) == 1


@launch_pytest.fixture
def two_cameras(tmp_path_factory: pytest.TempPathFactory) -> LaunchDescription:
    model = write_network(tmp_path_factory.mktemp("model") / "tiny.onnx")
    arguments = {
        "cameras": "left,right",
        "image": "image_raw",
        "namespace": "cell",
        "model": str(model),
        "threads": "1",
        "backend": "onnxruntime",
    }
    return LaunchDescription(
        [include("segmenter.launch.py", **arguments), launch_pytest.actions.ReadyToTest()]
    )


@pytest.mark.launch(fixture=two_cameras)
def test_each_camera_has_a_segmenter() -> None:
    for camera in ("left", "right"):
        with LiveSegmenterClient(
            image_topic="image_raw",
            instances_topic="segmenter/instances",
            namespace=f"/cell/{camera}",
        ) as client:
            client.wait_for_segmenter(60)
            assert len(client.ask_image(np.zeros((64, 64, 3), np.uint8), 30).detections) == 1


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    totes.write_coco(folder / "coco", count=3)
    write_bag_from_coco(folder / "coco", "test", folder / "bag")
    return folder / "bag"


@pytest.mark.parametrize("live", ["false", "true"])
def test_launched_evaluation_writes_a_run(
    bag: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: str
) -> None:
    """A name that YAML takes for a date or a number is a name all the same."""
    run = tmp_path / "2026-11-23"
    monkeypatch.chdir(tmp_path)
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [
                include(
                    "evaluate.launch.py",
                    source=str(bag),
                    run=run.name,
                    model=str(tiny_model),
                    threads="1",
                    live=live,
                )
            ]
        )
    )
    assert service.run() == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["complete"]
    assert summary["frames"]["answered"] == 3


def test_launched_demo_renders_and_evaluates_twice(tiny_model: Path, tmp_path: Path) -> None:
    """The second time, the totes are there."""
    for number in (1, 2):
        service = LaunchService()
        arguments = {
            "output": str(tmp_path),
            "count": "2",
            "size": "160x134",
            "model": str(tiny_model),
            "backend": "onnxruntime",
        }
        service.include_launch_description(
            LaunchDescription([include("demo.launch.py", **arguments)])
        )
        assert service.run() == 0
        summary = json.loads((tmp_path / f"run_{number}" / "summary.json").read_text())
        assert summary["complete"]
        assert summary["frames"]["answered"] == 2
    assert len(list(tmp_path.glob("totes_*"))) == 1


def test_launched_evaluation_without_a_bag_fails(tmp_path: Path) -> None:
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [
                include(
                    "evaluate.launch.py", source=str(tmp_path / "absent"), run=str(tmp_path / "run")
                )
            ]
        )
    )
    service.run()
    assert not (tmp_path / "run").exists()


def test_launch_gives_the_evaluator_time_to_write() -> None:
    context = LaunchContext()
    context.launch_configurations.update(dict.fromkeys(EVALUATOR_PARAMETERS, ""))
    for name in ("start_segmenter", "use_sim_time", "rviz"):
        context.launch_configurations[name] = "false"
    [node] = launch_file("evaluate.launch.py").evaluator(context)
    for name in ("sigterm", "sigkill"):
        timeout = getattr(node, f"_ExecuteLocal__{name}_timeout")
        assert float(perform_substitutions(context, timeout)) >= 60
