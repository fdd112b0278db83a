# SPDX-License-Identifier: Apache-2.0
"""The README says what is true: its parameter table is the node's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the parameter table needs the ROS message classes")

from armseg_ros.cli.main import VERBS
from armseg_ros.ros.parameters import PARAMETERS, NodeParameter

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def row(parameter: NodeParameter) -> str:
    default = '""' if parameter.default == "" else str(parameter.default)
    allowed = ", ".join(parameter.choices)
    if parameter.limits is not None:
        allowed = f"{parameter.limits[0]:g} to {parameter.limits[1]:g}"
    live = "" if parameter.read_only else "yes"
    return f"| `{parameter.name}` | `{default}` | {allowed} | {live} | {parameter.description} |"


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_parameter_table(parameter: NodeParameter) -> None:
    assert row(parameter) in README


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert "docs/images/demo.jpg" in links
    for link in links:
        assert (ROOT / link).is_file(), link


def test_every_verb_is_shown() -> None:
    for verb in VERBS:
        assert f"armseg {verb}" in README or f"make {verb}" in README, verb
