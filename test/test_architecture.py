# SPDX-License-Identifier: Apache-2.0
"""Who may import what: the core runs without ROS, engines and plotting stay in their rooms."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "armseg_ros"
ROS_MODULES = {
    "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs", "foxglove_msgs",
    "launch", "launch_ros", "lifecycle_msgs", "rcl_interfaces", "rclpy", "sensor_msgs", "std_msgs",
    "std_srvs", "vision_msgs",
}  # fmt: skip
ROOMS = {
    **dict.fromkeys(ROS_MODULES, ("ros",)),
    "torch": ("train",),
    "tensorrt": ("backends/tensorrt",),
    "pycuda": ("backends/tensorrt",),
    "openvino": ("backends",),
    "plotly": ("report",),
    "jinja2": ("report", "latent/explorer"),
    "distributed": ("evaluate",),
    "sklearn": ("latent", "quality"),
    "ultralytics": (),
}


def imported_names(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 30
    return found


def test_every_library_stays_in_its_room() -> None:
    for path in modules():
        place = path.relative_to(PACKAGE).as_posix()
        for name in imported_names(path):
            rooms = ROOMS.get(name.split(".")[0])
            allowed = rooms is None or any(place.startswith(room + "/") for room in rooms)
            assert allowed, f"{place} imports {name}, which belongs in {rooms}"


def test_the_core_does_not_import_the_ros_room() -> None:
    """Modules outside ros/ reach into it inside functions only, so that they load without ROS."""
    for path in modules():
        place = path.relative_to(PACKAGE).as_posix()
        if place.startswith("ros/"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                forbidden = ("armseg_ros.ros", "armseg_ros.msg", "armseg_ros.train")
                is_train = place.startswith("train/")
                assert not node.module.startswith(forbidden[: 2 if is_train else 3]), place


def outer_imports(path: Path, names: Collection[str]) -> Iterator[str]:
    """Which of these modules a file imports outside of functions, for types alone included."""
    waiting: list[ast.AST] = [*ast.parse(path.read_text(encoding="utf-8")).body]
    for node in waiting:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else node.module
        elif isinstance(node, (ast.If, ast.Try)):
            waiting.extend(ast.iter_child_nodes(node))


def test_no_modules_import_in_a_circle() -> None:
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in modules()
    }
    graph = {name: names.keys() & {*outer_imports(path, names)} for name, path in names.items()}
    assert len(graph["armseg_ros.segmenter"]) > 5
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_modules_stay_small() -> None:
    for path in modules():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 350, f"{path.name} has {lines} lines; split it"


def test_no_message_folder_in_the_source_package() -> None:
    """``armseg_ros/msg`` is generated; a folder of that name here would hide it."""
    assert not (PACKAGE / "msg").exists()
