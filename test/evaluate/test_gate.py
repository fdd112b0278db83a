# SPDX-License-Identifier: Apache-2.0
"""The grammar of --fail-if."""

from __future__ import annotations

import pytest

from armseg_ros.errors import ConfigError, DataError
from armseg_ros.evaluate.gate import Delta, parse_condition

NAMES = ("f1", "object_mask_ap")
DELTAS = {
    "f1": Delta("f1", 0.5, 0.48, -0.02, (-0.05, 0.01)),
    "object_mask_ap": Delta("object_mask_ap", None, None, None, None),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("f1 < -0.01", True),
        ("f1<-.01", True),
        ("f1 < -0.02", False),
        ("f1 <= -0.02", True),
        ("f1 > -0.02", False),
        ("f1 >= -2e-2", True),
        (" f1.high < 0 ", False),
        ("f1.low < 0", True),
        ("f1.high > +0.005", True),
    ],
)
def test_conditions_by_hand(text: str, holds: bool) -> None:
    assert parse_condition(text, NAMES).holds(DELTAS) is holds


@pytest.mark.parametrize(
    "text",
    ["", "f1", "f1 <", "< 0.1", "f1 == 0", "f1 < x", "f1 < 1 and f1 > 0", "f1.mid < 0", "f1 < nan",
     "f1 < 0.1.2", "F1 < 0", "f1 < -0.01; import os", "f1 < inf", "f1 < \u0661"],
)  # fmt: skip
def test_everything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected NAME < NUMBER .*object_mask_ap < -0\.01"):
        parse_condition(text, NAMES)


def test_an_unknown_figure_lists_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="no figure is called 'ap'; there are f1, object_mask_ap"):
        parse_condition("ap < 0", NAMES)


def test_a_figure_that_is_not_measured_is_no_pass() -> None:
    for text in ("object_mask_ap < 0", "object_mask_ap.low < 0"):
        with pytest.raises(DataError, match="object_mask_ap is not measured in both runs"):
            parse_condition(text, NAMES).holds(DELTAS)


def test_a_figure_without_interval_is_no_pass() -> None:
    deltas = {"f1": Delta("f1", 0.5, 0.4, -0.1, None)}
    assert parse_condition("f1 < 0", NAMES).holds(deltas)
    with pytest.raises(DataError, match=r"f1 has no interval, .* more labelled pictures$"):
        parse_condition("f1.high < 0", NAMES).holds(deltas)
