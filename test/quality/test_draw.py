# SPDX-License-Identifier: Apache-2.0
"""Suspects on an overlay."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.config import QualityConfig
from armseg_ros.quality.draw import OVER_COLOR, UNDER_COLOR, draw_suspects
from armseg_ros.quality.result import (
    PairKind,
    Quality,
    SuspectPair,
    Verdict,
    unknown_quality,
)
from armseg_ros.types import Instances, Mask


def three() -> Instances:
    masks = tuple(Mask(np.ones((40, 40), bool), x, 80) for x in (20, 180))
    empty = Mask(np.zeros((0, 0), bool), 0, 0)
    boxes = np.array([[20, 80, 60, 120], [180, 80, 220, 120], [100, 10, 120, 30]], np.float32)
    return Instances(boxes, np.zeros(3, np.int32), (*masks, empty), np.zeros(3, bool))


def quality(pairs: tuple[SuspectPair, ...], under: tuple[int, ...]) -> Quality:
    p = np.zeros(3, np.float32)
    return Quality(
        p, p.copy(), np.full(3, -1, np.int32), 0.5, 0.5, Verdict.BOTH, pairs, under, 0.5,
        QualityConfig(),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_line_and_an_outline(scale: float) -> None:
    overlay = np.zeros((int(200 * scale), int(240 * scale), 3), np.uint8)
    pairs = (SuspectPair(0, 1, PairKind.MERGE, 0.9), SuspectPair(0, 2, PairKind.MERGE, 0.8))
    draw_suspects(overlay, three(), quality(pairs, (1, 2)), scale)
    line = overlay[int(85 * scale) : int(115 * scale), int(110 * scale)]
    assert (line == OVER_COLOR).all(axis=1).any()
    outline = overlay[int(75 * scale) : int(85 * scale), int(210 * scale)]
    assert (outline == UNDER_COLOR).all(axis=1).any()
    assert not overlay[int(150 * scale) :].any()


def test_nothing_to_draw() -> None:
    overlay = np.zeros((200, 240, 3), np.uint8)
    draw_suspects(overlay, three(), unknown_quality(3, QualityConfig(), "why"))
    assert not overlay.any()
