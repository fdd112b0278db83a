# SPDX-License-Identifier: Apache-2.0
"""No driver, no TensorRT, one that is too old or that crashes: a sentence, never a dead process."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from armseg_ros.backends.tensorrt.environment import (
    Device,
    Environment,
    child_environment,
    look,
    require_supported_version,
)
from armseg_ros.errors import BackendError

ORIN = Device("Orin", (8, 7), 8, True, 8 << 30, 4 << 30)
ASK = """
import sys
from pathlib import Path
from armseg_ros.backends.tensorrt import open_tensorrt
from armseg_ros.errors import BackendError
try:
    open_tensorrt(Path(sys.argv[1]))
except BackendError as error:
    print(error)
"""


def environment(**facts: object) -> Environment:
    found = {"driver": 12060, "device": ORIN, "tensorrt": "10.3.0", "pycuda": "2026.1"}
    return Environment(**{**found, "problems": {}, **facts})


def ask(folder: Path, **modules: str) -> str:
    """Open the backend in a process that sees the given modules, and return what it says."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    variables = child_environment()
    variables["PYTHONPATH"] += f":{folder}"
    answer = subprocess.run(
        [sys.executable, "-c", ASK, str(folder / "model.onnx")],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == 1
    return answer.stdout.strip()


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("tensorrt is installed here")
    assert "the Python package tensorrt is not there; install" in ask(tmp_path)


def test_without_a_driver_the_package_is_not_even_used(tmp_path: Path) -> None:
    if look().driver is not None:
        pytest.skip("there is a driver here")
    said = ask(tmp_path, tensorrt="__version__ = '10.3.0'\nclass Runtime: 1/0")
    assert said.startswith("TensorRT cannot run here: libcuda.so.1 cannot be loaded")


def test_a_library_that_kills_its_process_kills_the_probe_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    found = look()
    assert "tensorrt ended the process that loaded it (SIGSEGV)" in found.problems["tensorrt"]
    assert "not looked at" in found.problems["pycuda"]


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("import time\ntime.sleep(90)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    assert "did not answer within 20 s" in look(timeout_s=20).problems["tensorrt"]


def test_every_version_of_the_table() -> None:
    for version in ("10.0.1", "10.3.0", "10.13.3.9", "10.16.1.11", "11.0.0", "11.4.0.106"):
        require_supported_version(version)
    with pytest.raises(BackendError, match=r"8\.5\.2 \(JetPack 5\) found, .* JetPack 6\.1"):
        require_supported_version("8.5.2")
    for version in ("8.6.1", "9.3.0", "12.0.0", ""):
        with pytest.raises(BackendError, match="needs 10 or 11"):
            require_supported_version(version)


def test_one_sentence_per_thing_that_is_missing() -> None:
    assert environment().require() == ORIN
    with pytest.raises(BackendError, match="shows no GPU; unset CUDA_VISIBLE_DEVICES"):
        environment(device=None).require()
    with pytest.raises(BackendError, match="pycuda is not there; install pycuda"):
        environment(problems={"pycuda": "the Python package pycuda is not there"}).require()
    with pytest.raises(BackendError, match=r"TensorRT 8\.5\.2"):
        environment(tensorrt="8.5.2").require()
