# SPDX-License-Identifier: Apache-2.0
"""The README says what is true: its parameter table is the node's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the parameter table needs the ROS message classes")

from armseg_ros.cli.main import VERBS
from armseg_ros.ros.parameter_documents import as_markdown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_parameter_table_is_that_of_the_node() -> None:
    """Otherwise: python -m armseg_ros.ros.parameter_documents."""
    assert as_markdown() + "\n" in README


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert "docs/images/demo.jpg" in links
    for link in links:
        assert (ROOT / link).is_file(), link


def test_every_verb_is_shown() -> None:
    for verb in VERBS:
        assert f"armseg {verb}" in README or f"make {verb}" in README, verb
