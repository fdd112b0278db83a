# SPDX-License-Identifier: Apache-2.0
"""Made-up network answers with known instances, candidates and pictures, for tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from armseg_ros.config import DecodeConfig
from armseg_ros.decode import decode
from armseg_ros.letterbox import Letterbox
from armseg_ros.quality.classifier import Classifier, Linear
from armseg_ros.quality.features import feature_names
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.pairs import PAIR_FEATURES
from armseg_ros.quality.table import QualityTable
from armseg_ros.types import Candidates, Detections, RawOutput

HW = (640, 640)
MASKS = 32


class Row(NamedTuple):
    """One candidate: a box in network pixels, its score, and which prototype it draws."""

    box: tuple[float, float, float, float]
    score: float = 0.9
    prototype: int = 0
    tote: bool = False


class Answer(NamedTuple):
    decoded: tuple[Detections, Candidates]
    raw: RawOutput
    tensor: np.ndarray

    @property
    def detections(self) -> Detections:
        return self.decoded[0]

    @property
    def candidates(self) -> Candidates:
        return self.decoded[1]


def answer(
    rows: list[Row],
    prototypes: list[tuple[float, float, float, float]] = (),
    config: DecodeConfig | None = None,
) -> Answer:
    """Decode candidates whose masks are rectangles; prototype 0 is set everywhere."""
    planes = np.full((MASKS, 160, 160), -4, np.float32)
    planes[0] = 4
    for index, (left, top, right, bottom) in enumerate(prototypes, start=1):
        planes[index, int(top / 4) : int(bottom / 4), int(left / 4) : int(right / 4)] = 4
    table = np.zeros((len(rows), 7 + MASKS), np.float32)
    for values, row in zip(table, rows, strict=True):
        left, top, right, bottom = row.box
        values[:4] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        values[4] = row.score
        values[5 + row.tote] = 1
        values[7 + row.prototype] = 1
    raw = RawOutput(table, planes)
    letterbox = Letterbox.fit(HW, HW)
    return Answer(decode(raw, letterbox, config or DecodeConfig()), raw, picture())


def picture() -> np.ndarray:
    """Network input: left half red, right half blue, with a little noise."""
    random = np.random.default_rng(3)
    tensor = random.uniform(0, 0.1, (1, 3, *HW)).astype(np.float32)
    tensor[0, 0, :, :320] += 0.8
    tensor[0, 2, :, 320:] += 0.8
    return tensor


def always(detector: str, over: float = 0.25, under: float = 0.25) -> QualityModel:
    """Make a quality model that says the same of every instance and picture."""

    def constant(p: float, column: str) -> Classifier:
        zero, one = np.zeros(1), np.ones(1)
        return Classifier((column,), Linear(zero, one, zero, float(np.log(p / (1 - p)))))

    targets = {"over": over, "under": under}
    instance = {name: constant(p, "score") for name, p in targets.items()}
    frame = {f"frame_{name}": constant(p, "largest") for name, p in targets.items()}
    pair = {"pair": constant(over, "box_iou")}
    return QualityModel((detector,), {**pair, **instance, **frame})


def table(pictures: int = 150, seed: int = 0, detector: str = "d" * 64) -> QualityTable:
    """Make random rows in which a few columns tell split and merged objects."""
    random = np.random.default_rng(seed)
    names, per = feature_names(), 8
    rows = random.normal(size=(pictures * per, len(names))).astype(np.float32)
    pairs = random.normal(size=(pictures * 4, len(PAIR_FEATURES))).astype(np.float32)
    first = np.arange(pictures)[:, None] * per + np.arange(0, per, 2)
    same = pairs[:, PAIR_FEATURES.index("leak_max")] + 0.5 * random.normal(size=len(pairs)) > 1.4
    over = np.repeat(same, 2)
    noise = 0.5 * random.normal(size=len(rows))
    under = rows[:, names.index("children_disjoint")] + noise > 1.4
    return QualityTable(
        names=names,
        pair_names=PAIR_FEATURES,
        instances=rows,
        over=over,
        under=under,
        picture=np.repeat(np.arange(pictures, dtype=np.int32), per),
        pairs=pairs,
        same=same,
        pair_picture=np.repeat(np.arange(pictures, dtype=np.int32), 4),
        pair_rows=np.stack((first, first + 1), axis=2).reshape(-1, 2).astype(np.int32),
        coverage=random.uniform(size=pictures).astype(np.float32),
        variant=np.where(np.arange(pictures) % 5 == 4, 1, 0).astype(np.int32),
        groups=tuple(f"scene {seed} {k // 2}" for k in range(pictures)),
        sample_ids=tuple(f"{seed}/{k}.jpg" for k in range(pictures)),
        detector=detector,
        origin={"source": "made up"},
    )
