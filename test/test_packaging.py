# SPDX-License-Identifier: Apache-2.0
"""One version, one list of everything, and an installed package that holds all its parts."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PACKAGE_XML = ET.parse(ROOT / "package.xml").getroot()

# What a module is imported as, where that is not the name of its distribution on PyPI.
DISTRIBUTION_OF = {
    "PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml",
}  # fmt: skip
OPTIONAL = {  # extras, ROS by its own wheels, and what is only looked for
    "onnx", "torch", "matplotlib", "onnxconverter_common", "tensorrt", "pycuda", "openvino",
    "sklearn", "threadpoolctl", "openTSNE", "jinja2", "plotly", "cv_bridge", "vision_msgs",
    "foxglove_msgs", "distributed",
}  # fmt: skip
ROS_MODULES = {
    "ament_index_python", "builtin_interfaces", "diagnostic_msgs", "launch", "launch_ros",
    "launch_pytest", "lifecycle_msgs", "rcl_interfaces", "rclpy", "rosgraph_msgs", "sensor_msgs",
    "std_msgs", "std_srvs",
}  # fmt: skip


def imported(folder: Path) -> set[str]:
    """Top-level names that are imported anywhere below a folder."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"armseg_ros"}


def installed() -> metadata.Distribution:
    """The package as pip installed it; colcon leaves metadata too, but none of the files."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        distribution = metadata.distribution("armseg_ros")
        if distribution.read_text("INSTALLER") is not None:
            return distribution
    pytest.skip("armseg_ros is not installed with pip here, so there is nothing to look at")


def build_requirements(**environment: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    clean = {key: value for key, value in os.environ.items() if key != "ROS_DISTRO"}
    return subprocess.run(
        [sys.executable, "setup.py", "print_build_requirements"],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_version_is_written_once() -> None:
    version = PACKAGE_XML.findtext("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert not re.search(r"^version\s*=", PYPROJECT, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.rst").read_text()
    assert f"{version} " in changelog or "Forthcoming" in changelog
    assert installed().version == version


def test_package_xml_names_every_ros_package_that_is_imported() -> None:
    named = {e.text for tag in ("depend", "exec_depend") for e in PACKAGE_XML.findall(tag)}
    used = (imported(ROOT / "armseg_ros") | imported(ROOT / "launch")) & ROS_MODULES
    assert {"rclpy", "sensor_msgs", "launch_ros"} <= used
    assert used <= named
    tested = {e.text for e in PACKAGE_XML.findall("test_depend")}
    assert imported(ROOT / "test") & ROS_MODULES <= named | tested
    assert PACKAGE_XML.findtext("export/build_type") == "ament_cmake"
    assert PACKAGE_XML.findtext("member_of_group") == "rosidl_interface_packages"


def test_requirements_are_what_is_imported() -> None:
    requirements = [Requirement(text) for text in installed().requires]
    core = {r.name.lower() for r in requirements if "extra" not in str(r.marker or "")}
    ros = {name for name in core if name.startswith("ros-")}
    used = imported(ROOT / "armseg_ros") - ROS_MODULES - OPTIONAL
    assert {DISTRIBUTION_OF.get(name, name).lower() for name in used} == core - ros
    assert "ros-rclpy" in ros


@pytest.mark.parametrize(("distribution", "ament"), [("kilted", "2.7.*"), ("jazzy", "2.5.*")])
def test_one_ros_distribution_is_pinned(distribution: str, ament: str) -> None:
    lines = build_requirements(ROS_DISTRO=distribution).stdout.split()
    assert f"ros-ament-cmake=={ament}" in lines
    assert any(line.startswith("ros-std-msgs==") for line in lines)
    if distribution == "kilted":
        assert build_requirements().stdout.split() == lines


def test_distribution_without_wheels_is_named() -> None:
    answer = build_requirements(ROS_DISTRO="humble")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "'humble'" in answer.stderr
    assert "colcon" in answer.stderr


def test_tools_are_the_same_everywhere() -> None:
    ruff = re.search(r'"ruff==([\d.]+)"', PYPROJECT).group(1)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert f"v{ruff}" in [hook["rev"] for hook in hooks if "ruff" in hook["repo"]]
    build_system = re.search(r"^requires = \[(.*)\]", PYPROJECT, re.MULTILINE).group(1)
    makefile = (ROOT / "Makefile").read_text()
    tools = re.search(r"^BUILD_TOOLS := (.*)", makefile, re.MULTILINE).group(1)
    assert re.findall(r'"(.*?)"', build_system) == tools.replace("'", "").split()


def test_ci_runs_every_check() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    planned = subprocess.run(
        ["make", "--dry-run", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for step in ("ruff check", "ruff format --check", "-m mypy", "-m pytest"):
        assert step in planned


def installed_paths() -> dict[str, Path]:
    """Installed files by their path below the environment, or below site-packages."""
    distribution = installed()
    prefix = Path(sys.prefix).resolve()
    site_packages = Path(distribution.locate_file("")).resolve()
    paths = [Path(distribution.locate_file(file)).resolve() for file in distribution.files]
    roots = [(path, site_packages if site_packages in path.parents else prefix) for path in paths]
    return {path.relative_to(root).as_posix(): path for path, root in roots}


def test_wheel_holds_every_part() -> None:
    names = list(installed_paths())
    for part in (
        r"armseg_ros/py\.typed",
        r"armseg_ros/models/.*\.onnx",
        r"armseg_ros/models/MODEL_CARD\.md",
        r"armseg_ros/backends/tensorrt/kernels/images\.zip",
        r"armseg_ros/report/templates/index\.html",
        r"armseg_ros/report/static/report\.css",
        r"armseg_ros/synthetic/fonts/.*\.ttf",
        r"armseg_ros/synthetic/fonts/.*OFL\.txt",
        r"armseg_ros/msg/_instance_array\.py",
        r"bin/armseg",
        r"bin/armseg_segmenter",
        r"bin/armseg_evaluator",
        r"lib/armseg_ros/segmenter",
        r"lib/armseg_ros/evaluator",
        r"lib/libarmseg_ros__rosidl_typesupport_c\.so",
        r"share/armseg_ros/launch/segmenter\.launch\.py",
        r"share/armseg_ros/launch/evaluate\.launch\.py",
        r"share/armseg_ros/config/segmenter\.yaml",
        r"share/armseg_ros/config/fastdds_shm\.xml",
        r"share/armseg_ros/msg/InstanceArray\.msg",
        r"share/armseg_ros/package\.xml",
        r"share/ament_index/resource_index/packages/armseg_ros",
    ):
        assert any(re.fullmatch(part, name) for name in names), part
    assert not [name for name in names if name.startswith("test/")]


def test_ros_run_finds_programs_without_an_activated_environment(tmp_path: Path) -> None:
    answer = subprocess.run(
        [installed_paths()["lib/armseg_ros/armseg"], "--version"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == f"armseg_ros {installed().version}"
