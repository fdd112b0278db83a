# SPDX-License-Identifier: Apache-2.0
"""The table, the file and the declared parameters say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed")
from rcl_interfaces.msg import ParameterDescriptor

from armseg_ros.config import SegmenterConfig
from armseg_ros.errors import ConfigError
from armseg_ros.ros.parameter_documents import HEAD, as_markdown, as_yaml, replace_table
from armseg_ros.ros.parameters import (
    BY_NAME,
    PARAMETERS,
    check_choices,
    descriptor,
    segmenter_config,
)

CONFIG = Path(__file__).parents[2] / "config" / "segmenter.yaml"
DEFAULTS = {parameter.name: parameter.default for parameter in PARAMETERS}


def test_file_equals_the_defaults() -> None:
    document = yaml.safe_load(CONFIG.read_text())
    assert document == {"/**": {"ros__parameters": DEFAULTS}}
    for name, value in document["/**"]["ros__parameters"].items():
        assert type(value) is type(DEFAULTS[name]), name


def test_file_is_made_of_the_table() -> None:
    """Otherwise: python -m armseg_ros.ros.parameter_documents."""
    assert CONFIG.read_text() == as_yaml()
    for parameter in PARAMETERS:
        assert parameter.description


def test_table_of_a_text_is_replaced_alone() -> None:
    old = f"before\n\n{HEAD}| stale |\n\nafter\n"
    assert replace_table(old) == f"before\n\n{as_markdown()}\nafter\n"


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
    assert by_name["image_depth"].read_only
    assert not by_name["model"].read_only
    assert by_name["max_age_ms"].additional_constraints == "ms"
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


@pytest.mark.parametrize("name", ["overlay_scale", "max_age_ms", "score_threshold"])
def test_numbers_that_are_none_are_refused_with_the_range(name: str) -> None:
    """ROS lets NaN through: it is neither below a range nor above it."""
    limits = BY_NAME[name].allowed()
    for value in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"{name} is {value}, but must be {limits}"):
            check_choices({name: value})
