# SPDX-License-Identifier: Apache-2.0
"""Conditions that fail a comparison, such as ``object_mask_ap < -0.01``.

    condition = name ["." end] operator number
    end       = "low" | "high"                  of the 95 % interval of the difference
    operator  = "<" | "<=" | ">" | ">="

The name is a figure of the comparison and stands for its difference, second run minus first.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from armseg_ros.errors import ConfigError, DataError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PATTERN = re.compile(
    r"\s*(?P<name>[a-z][a-z0-9_]*)(?:\.(?P<end>low|high))?"
    r"\s*(?P<operator><=|>=|<|>)"
    r"\s*(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure in two runs.

    Attributes:
        name: Of the figure.
        a: In the first run; None where it is not defined.
        b: In the second.
        change: ``b - a``.
        interval: 95 % paired bootstrap interval of ``change``; None where it is not known.
    """

    name: str
    a: float | None
    b: float | None
    change: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition.

    Attributes:
        text: As given.
        name: Figure that it looks at.
        end: ``low`` or ``high`` end of the interval; empty for the difference itself.
        operator: One of ``<``, ``<=``, ``>``, ``>=``.
        number: What it is compared with.
    """

    text: str
    name: str
    end: str
    operator: str
    number: float

    def holds(self, deltas: Mapping[str, Delta]) -> bool:
        """Say whether the comparison fails by it.

        Raises:
            DataError: The runs do not define this figure or its interval: nothing can be said.
        """
        delta = deltas[self.name]
        value = delta.change
        if self.end:
            value = delta.interval[self.end == "high"] if delta.interval else None
        if value is None:
            lacking = "is not measured in both runs" if delta.change is None else "has no interval"
            raise DataError(
                f"--fail-if {self.text!r}: {self.name} {lacking}, so the condition says nothing; "
                "leave it out or evaluate more labelled pictures"
            )
        return _OPERATORS[self.operator](value, self.number)


def parse_condition(text: str, names: Mapping[str, object] | tuple[str, ...]) -> Condition:
    """Parse one condition.

    Args:
        text: Such as ``object_mask_ap < -0.01``.
        names: The figures that there are.

    Raises:
        ConfigError: It is not of the grammar, or names no figure.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"--fail-if {text!r}: expected NAME < NUMBER (or <=, >, >=), such as "
            "'object_mask_ap < -0.01'; NAME.low and NAME.high are the ends of the interval"
        )
    if match["name"] not in names:
        raise ConfigError(
            f"--fail-if {text!r}: no figure is called {match['name']!r}; there are "
            f"{', '.join(names)}"
        )
    return Condition(
        text.strip(), match["name"], match["end"] or "", match["operator"], float(match["number"])
    )
