# SPDX-License-Identifier: Apache-2.0
"""Looks at everything a segmenter needs of its machine, and says what to do about what is missing.

Nothing is changed, and nothing risky is loaded into this process: driver, TensorRT and pycuda are
looked at by a child process.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from armseg_ros.backends.tensorrt.engine import engine_folder
from armseg_ros.backends.tensorrt.engine_key import cuda_version
from armseg_ros.backends.tensorrt.environment import (
    ADVICE,
    Environment,
    look,
    require_supported_version,
)
from armseg_ros.errors import BackendError

GIGABYTE = 1 << 30
SEGMENTER_MEMORY = 1 * GIGABYTE  # context, engine and buffers of YOLOv5s-seg, with room
RECEIVE_BUFFER = 16 << 20  # bytes: one raw 2448x2048 picture in fragments
SHARED_MEMORY = 288 << 20  # bytes: config/fastdds_shm.xml for a camera and the segmenter
ENGINE_SPACE = 1 * GIGABYTE
TEGRA_RELEASE = Path("/etc/nv_tegra_release")

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        state: ``ok``; ``note`` where something works worse or not at all without it, which may be
            meant; ``wrong`` where the package cannot do its work.
        found: What was found.
        advice: What to do about it; empty where nothing is to do.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def examine(environment: Environment | None = None) -> Iterator[Finding]:
    """Look at everything, one thing after the other.

    Args:
        environment: What is known of the GPU already; None looks.
    """
    yield from examine_engines()
    environment = environment or look()
    yield from examine_gpu(environment)
    yield from examine_ros()
    yield examine_receive_buffer()
    yield examine_shared_memory()
    yield examine_engine_folder()


def examine_engines() -> Iterator[Finding]:
    """Look for the engines that run on a CPU."""
    found = _version("onnxruntime")
    if found is None:
        yield Finding("ONNX Runtime", "wrong", "not installed", "pip install onnxruntime")
    else:
        yield Finding("ONNX Runtime", "ok", found)
    found = _version("openvino")
    if found is None:
        advice = "faster where the processor has bf16 or int8 instructions: pip install openvino"
        yield Finding("OpenVINO", "note", "not installed", advice)
    else:
        yield Finding("OpenVINO", "ok", found)


def examine_gpu(environment: Environment) -> Iterator[Finding]:
    """Tell what is there of driver, GPU, its memory, TensorRT and pycuda."""
    if TEGRA_RELEASE.is_file():
        yield Finding("Jetson", "ok", TEGRA_RELEASE.read_text().splitlines()[0].lstrip("# "))
    if environment.driver is None:
        problem = environment.problems.get("driver", "none")
        yield Finding("NVIDIA driver", "note", problem, ADVICE["driver"])
    else:
        yield Finding("NVIDIA driver", "ok", f"for CUDA {cuda_version(environment.driver)}")
        yield from _examine_device(environment)
    yield _examine_tensorrt(environment)
    if environment.pycuda is None:
        yield Finding(
            "pycuda", "note", environment.problems.get("pycuda", "none"), ADVICE["pycuda"]
        )
    else:
        yield Finding("pycuda", "ok", environment.pycuda)
    if _version("onnx") is None:
        yield Finding("onnx", "note", "not installed", "to build engines: pip install onnx")
    else:
        yield Finding("onnx", "ok", _version("onnx") or "")


def _examine_device(environment: Environment) -> Iterator[Finding]:
    device = environment.device
    if device is None:
        advice = "unset CUDA_VISIBLE_DEVICES, or give the container the GPU"
        yield Finding("GPU", "note", "the driver shows none", advice)
        return
    major, minor = device.compute_capability
    kind = "shares the memory of the CPU" if device.integrated else "has memory of its own"
    yield Finding(
        "GPU",
        "ok",
        f"{device.name}, sm_{major}{minor}, {device.multiprocessors} multiprocessors, {kind}",
    )
    memory = f"{device.memory_free / GIGABYTE:.1f} of {device.memory_total / GIGABYTE:.1f} GiB free"
    if not device.memory_free:
        advice = "other programs may have all of it: nvidia-smi or tegrastats lists them"
        yield Finding("GPU memory", "note", "the driver does not say how much is free", advice)
    elif device.memory_free >= SEGMENTER_MEMORY:
        yield Finding("GPU memory", "ok", memory)
    else:
        advice = "end other programs that use it (nvidia-smi or tegrastats lists them)"
        if device.integrated:
            advice += "; close the desktop (sudo systemctl isolate multi-user.target)"
        yield Finding("GPU memory", "note", memory, advice)


def _examine_tensorrt(environment: Environment) -> Finding:
    if environment.tensorrt is None:
        problem = environment.problems.get("tensorrt", "none")
        return Finding("TensorRT", "note", problem, ADVICE["tensorrt"])
    try:
        require_supported_version(environment.tensorrt)
    except BackendError as error:
        return Finding("TensorRT", "note", environment.tensorrt, str(error))
    return Finding("TensorRT", "ok", environment.tensorrt)


def examine_ros() -> Iterator[Finding]:
    """Look for ROS 2 and for the messages of this package."""
    distribution = os.environ.get("ROS_DISTRO", "")
    if importlib.util.find_spec("rclpy") is None:
        advice = "source /opt/ros/DISTRIBUTION/setup.bash, or pip install this package's wheels"
        yield Finding("ROS 2", "note", "rclpy is not there: no nodes, all else works", advice)
        return
    yield Finding("ROS 2", "ok", f"rclpy {_version('rclpy') or ''} {distribution}".strip())
    if importlib.util.find_spec("armseg_ros.msg") is None:
        advice = "build this package: colcon build, or make venv"
        yield Finding("ROS messages", "note", "armseg_ros.msg is not built", advice)
    else:
        yield Finding("ROS messages", "ok", "built")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "the distribution's own")
    yield Finding("ROS middleware", "ok", middleware)


def examine_receive_buffer(path: Path = Path("/proc/sys/net/core/rmem_max")) -> Finding:
    """Look at the largest receive buffer, without which UDP loses large pictures."""
    name = "net.core.rmem_max"
    try:
        size = int(path.read_text())
    except (OSError, ValueError) as error:
        return Finding(name, "note", f"cannot be read ({error})")
    found = f"{size / 1e6:.1f} MB"
    if size >= RECEIVE_BUFFER:
        return Finding(name, "ok", found)
    return Finding(
        name,
        "note",
        found,
        f"where cameras on other computers send raw pictures: "
        f"sudo sysctl -w net.core.rmem_max={2 * RECEIVE_BUFFER}",
    )


def examine_shared_memory(path: Path = Path("/dev/shm")) -> Finding:
    """Look at the room for pictures between processes of this machine."""
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Finding(str(path), "note", f"cannot be used ({error.strerror})", "mount it")
    found = f"{free >> 20} MiB free"
    if free >= SHARED_MEMORY:
        return Finding(str(path), "ok", found)
    advice = f"{SHARED_MEMORY >> 20} MiB are needed: docker run --shm-size=512m (or --ipc=host)"
    return Finding(str(path), "note", found, advice)


def examine_engine_folder() -> Finding:
    """Look for room where engines are kept."""
    folder = engine_folder()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK):
        advice = "set ARMSEG_ENGINES to a folder that this user may write to"
        return Finding("engine folder", "note", f"{folder} cannot be written", advice)
    free = shutil.disk_usage(place).free
    found = f"{folder}, {free / GIGABYTE:.0f} GiB free"
    if free >= ENGINE_SPACE:
        return Finding("engine folder", "ok", found)
    return Finding("engine folder", "note", found, "free some space, or set ARMSEG_ENGINES")


def _version(distribution: str) -> str | None:
    if importlib.util.find_spec(distribution) is None:
        return None
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"
