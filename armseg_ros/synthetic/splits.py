# SPDX-License-Identifier: Apache-2.0
"""Which picture goes to train, val or test."""

from __future__ import annotations

import math
from collections.abc import Mapping

from armseg_ros.data.coco import SPLITS
from armseg_ros.errors import ConfigError

DEFAULT_SPLIT: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def parse_split(text: str) -> dict[str, float]:
    """Return {"train": 8.0, ...} of "train=8,val=1,test=1"; any weights of 0 or more.

    Raises:
        ConfigError: A part is no ``name=weight``, a name is unknown or twice there, or no weight
            is above 0.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            weight = float(number)
        except ValueError:
            raise ConfigError(
                f'split part "{part}" is not name=weight; write it like {_example()}'
            ) from None
        if name in weights:
            raise ConfigError(f'split "{name}" is given twice; write it like {_example()}')
        weights[name] = weight
    check_split(weights)
    return weights


def check_split(weights: Mapping[str, float]) -> None:
    """Raise ConfigError unless ``weights`` names known splits and some weight is above 0."""
    for name, weight in weights.items():
        if name not in SPLITS:
            raise ConfigError(f'split "{name}" is unknown; the splits are {", ".join(SPLITS)}')
        if not (math.isfinite(weight) and weight >= 0):
            raise ConfigError(f"the weight of split {name} must be 0 or more, got {weight}")
    if sum(weights.values()) <= 0:
        raise ConfigError(f"no split has a weight above 0; write it like {_example()}")


def assign_splits(count: int, weights: Mapping[str, float]) -> list[str]:
    """Return the splits of pictures 0 .. count-1; those of the first K do not depend on the rest.

    Each picture goes to the split that is furthest behind its share, so every beginning of the
    series is as near to the weights as whole pictures allow.
    """
    total = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    names = []
    for index in range(count):
        behind = {
            # Rounded, so that equal shares tie in spite of float error; the first name wins then.
            name: round(weight / total * (index + 1) - given[name], 9)
            for name, weight in weights.items()
        }
        name = max(behind, key=behind.__getitem__)
        given[name] += 1
        names.append(name)
    return names


def _example() -> str:
    return ",".join(f"{name}={weight}" for name, weight in DEFAULT_SPLIT.items())
