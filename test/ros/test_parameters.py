# SPDX-License-Identifier: Apache-2.0
"""The table, the file and the declared parameters say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rcl_interfaces.msg import ParameterDescriptor

from armseg_ros.config import SegmenterConfig
from armseg_ros.errors import ConfigError
from armseg_ros.ros.parameters import (
    PARAMETERS,
    check_choices,
    descriptor,
    segmenter_config,
)

CONFIG = Path(__file__).parents[2] / "config" / "segmenter.yaml"
DEFAULTS = {parameter.name: parameter.default for parameter in PARAMETERS}


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w/~-]+", text))


def test_file_equals_the_defaults() -> None:
    document = yaml.safe_load(CONFIG.read_text())
    assert document == {"/**": {"ros__parameters": DEFAULTS}}
    for name, value in document["/**"]["ros__parameters"].items():
        assert type(value) is type(DEFAULTS[name]), name


def test_file_describes_every_parameter() -> None:
    """Comments hold the description, the range and whether the parameter is fixed."""
    paragraph = ""
    described = {}
    for line in CONFIG.read_text().splitlines():
        text = line.strip()
        if text.startswith("#"):
            paragraph += text.removeprefix("#")
        else:
            described[text.split(":")[0]] = " ".join(paragraph.split())
            paragraph = ""
    for parameter in PARAMETERS:
        comment = described[parameter.name]
        assert words(parameter.description) <= words(comment), parameter.name
        assert comment.startswith("[fixed]") == parameter.read_only, parameter.name
        for choice in parameter.choices:
            assert choice in comment
        if parameter.limits:
            assert f"({parameter.limits[0]} to {parameter.limits[1]})" in comment


def test_defaults_are_those_of_the_library() -> None:
    assert segmenter_config(DEFAULTS) == SegmenterConfig()


def test_descriptors() -> None:
    by_name = {parameter.name: descriptor(parameter) for parameter in PARAMETERS}
    score: ParameterDescriptor = by_name["score_threshold"]
    assert (score.floating_point_range[0].from_value, score.floating_point_range[0].to_value) == (
        0.0,
        1.0,
    )
    assert by_name["max_detections"].integer_range[0].to_value == 1000
    assert by_name["model"].read_only
    assert not score.read_only
    assert by_name["image_transport"].additional_constraints == "one of raw, compressed"
    assert all(d.description for d in by_name.values())


def test_wrong_texts_and_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"image_transport is 'theora'.*raw, compressed"):
        check_choices({"image_transport": "theora"})
    with pytest.raises(ConfigError, match="class_ids"):
        segmenter_config(DEFAULTS | {"class_ids": [-2]})
    assert segmenter_config(DEFAULTS | {"class_ids": [1]}).decode.class_ids == (1,)
    for everything in ([-1], [], None):  # ROS hands an empty list over as nothing
        assert segmenter_config(DEFAULTS | {"class_ids": everything}).decode.class_ids == ()
