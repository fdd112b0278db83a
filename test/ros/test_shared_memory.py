# SPDX-License-Identifier: Apache-2.0
"""Where the profile is found, and when it is left alone."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from armseg_ros.ros import shared_memory
from armseg_ros.ros.shared_memory import (
    OLD_VARIABLE,
    PROFILE,
    SEGMENT_BYTES,
    VARIABLE,
    shared_memory_environment,
    use_shared_memory,
)

SOURCE = Path(__file__).parents[2] / "config" / PROFILE
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (VARIABLE, OLD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    set_free(monkeypatch, 1 << 30)


def set_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(
        shared_memory.shutil, "disk_usage", lambda _: Usage(total=1 << 34, used=0, free=free)
    )


def install(prefix: Path) -> Path:
    profile = prefix / "share" / "armseg_ros" / "config" / PROFILE
    profile.parent.mkdir(parents=True)
    profile.write_text("<dds/>")
    return profile


def test_source_tree_then_workspace_then_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shared_memory_environment() == {VARIABLE: str(SOURCE)}
    monkeypatch.setattr(shared_memory, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert shared_memory_environment() == {}
    environment = install(tmp_path / "venv")
    assert shared_memory_environment() == {VARIABLE: str(environment)}
    workspace = install(tmp_path / "ws")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'other'}:{tmp_path / 'ws'}")
    assert shared_memory_environment() == {VARIABLE: str(workspace)}


def test_users_own_profile_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/etc/my_profile.xml")
    assert shared_memory_environment() == {}


def test_older_fast_dds_reads_another_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "jazzy" / "share" / "fastrtps").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "jazzy"))
    monkeypatch.setenv(VARIABLE, "/not/read.xml")
    assert shared_memory_environment() == {OLD_VARIABLE: str(SOURCE)}


def test_small_dev_shm_is_left_alone_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_free(monkeypatch, 64 << 20)
    assert shared_memory_environment() == {}
    assert "--shm-size" in caplog.text


def test_own_process_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    use_shared_memory()
    assert os.environ[VARIABLE] == str(SOURCE)


def test_profile_holds_a_large_image() -> None:
    """Several 15 MB images fit the segment, one fits a message, and both transports are used."""
    namespace = {"dds": "http://www.eprosima.com"}
    root = ET.parse(SOURCE).getroot()
    segment = int(root.findtext(".//dds:segment_size", namespaces=namespace))
    message = int(root.findtext(".//dds:maxMessageSize", namespaces=namespace))
    frame = 2448 * 2048 * 3
    assert 8 * frame < segment <= SEGMENT_BYTES
    assert frame < message <= segment
    kinds = {e.text for e in root.findall(".//dds:transport_descriptor/dds:type", namespace)}
    assert kinds == {"SHM", "UDPv4"}
    assert root.findtext(".//dds:useBuiltinTransports", namespaces=namespace) == "false"
