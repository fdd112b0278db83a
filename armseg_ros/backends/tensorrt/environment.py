# SPDX-License-Identifier: Apache-2.0
"""What this machine has of driver, GPU, TensorRT and pycuda, found without risk to this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armseg_ros.errors import BackendError

PROBE_TIMEOUT_S = 60.0  # a cold Jetson takes 10 s to load libnvinfer from its card
SUPPORTED_MAJORS = (10, 11)
UPGRADE = "JetPack 6.1 or newer, or TensorRT 10 or 11 on a desktop"


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU.

    Attributes:
        name: As the driver names it, such as ``Orin`` or ``NVIDIA GeForce RTX 4060``.
        compute_capability: Major and minor, such as (8, 7).
        multiprocessors: Number of streaming multiprocessors; one name is sold with several.
        integrated: True where it shares the memory of the CPU, as on a Jetson.
        memory_total: Bytes.
        memory_free: Bytes, 0 where the driver would not say.
    """

    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int
    integrated: bool
    memory_total: int
    memory_free: int


@dataclass(frozen=True, slots=True)
class Environment:
    """What a look at this machine found; of each thing either a version or what is wrong.

    Attributes:
        driver: CUDA version of the driver as cuda.h writes it, 12060 for 12.6; None without one.
        device: The first GPU, or None.
        tensorrt: Version of the Python package, such as ``10.3.0``, or None.
        pycuda: Version, or None.
        problems: What is wrong, by ``driver``, ``tensorrt`` or ``pycuda``.
    """

    driver: int | None
    device: Device | None
    tensorrt: str | None
    pycuda: str | None
    problems: dict[str, str]

    def require(self) -> Device:
        """Return the GPU, or say in one sentence why TensorRT cannot run here.

        Raises:
            BackendError: Something is missing or too old.
        """
        for part, advice in ADVICE.items():
            if part in self.problems:
                raise BackendError(f"TensorRT cannot run here: {self.problems[part]}; {advice}")
        if self.device is None:
            raise BackendError(
                "TensorRT cannot run here: the driver works but shows no GPU; unset "
                "CUDA_VISIBLE_DEVICES, or give the container the GPU (docker run --gpus all)"
            )
        require_supported_version(self.tensorrt or "")
        return self.device


ADVICE = {
    "driver": "install NVIDIA's driver, or start the container with --gpus all (on a Jetson "
    "--runtime nvidia)",
    "tensorrt": f"install TensorRT's Python package ({UPGRADE}) for this Python",
    "pycuda": "install pycuda where nvcc is on the PATH: pip install pycuda",
}


def require_supported_version(version: str) -> None:
    """Refuse a TensorRT that this package was not written for.

    Raises:
        BackendError: It is older than 10 or newer than 11.
    """
    major = version.split(".", maxsplit=1)[0]
    if not major.isdigit() or int(major) not in SUPPORTED_MAJORS:
        jetpack = " (JetPack 5)" if version.startswith("8.5") else ""
        raise BackendError(
            f"TensorRT {version or 'of unknown version'}{jetpack} found, this package needs 10 or "
            f"11: use {UPGRADE}"
        )


def look(timeout_s: float = PROBE_TIMEOUT_S) -> Environment:
    """Look in a child process, which may die of what it finds without harm to this one."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "armseg_ros.backends.tensorrt.probe"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        output, ending = answer.stdout, _ending(answer.returncode)
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        ending = f"did not answer within {timeout_s:g} s"
    return _read(output.decode(errors="replace"), ending)


def child_environment() -> dict[str, str]:
    """Make the environment of a child process that finds this package where this process did."""
    place = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([place, inherited] if inherited else [place]),
    }


def _ending(returncode: int) -> str:
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"ended the process that loaded it ({name})"
    return f"ended the process that loaded it (exit code {returncode})"


def _read(output: str, ending: str) -> Environment:
    """Read the lines of a probe; a stage that began and said no more is what ended it."""
    found: dict[str, dict[str, Any]] = {}
    for line in output.splitlines():
        if line.startswith('{"stage"'):  # libraries print lines of their own
            fact = json.loads(line)
            found[fact["stage"]] = fact
    problems = {}
    names = {"driver": "the NVIDIA driver", "tensorrt": "tensorrt", "pycuda": "pycuda"}
    for part, name in names.items():
        fact = found.get(part, {"error": f"{name} was not looked at, since the look ended before"})
        if "begin" in fact:
            problems[part] = f"{name} {ending}"
        elif "error" in fact:
            problems[part] = fact["error"]
    driver = found.get("driver", {})
    return Environment(
        driver=driver.get("version"),
        device=_device(driver["device"]) if "device" in driver else None,
        tensorrt=found.get("tensorrt", {}).get("version"),
        pycuda=found.get("pycuda", {}).get("version"),
        problems=problems,
    )


def _device(facts: dict[str, Any]) -> Device:
    major, minor = facts["compute_capability"]
    return Device(**{**facts, "compute_capability": (major, minor)})
