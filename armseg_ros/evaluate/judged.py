# SPDX-License-Identifier: Apache-2.0
"""One picture at the operating point against its ground truth: splits, merges, attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armseg_ros.evaluate.attributes import SampleAttributes, describe_sample
from armseg_ros.evaluate.operating import Operating
from armseg_ros.evaluate.overlap import variation_of_information
from armseg_ros.evaluate.seed_compat import compare_as_seed
from armseg_ros.evaluate.seed_figures import seed_figures
from armseg_ros.evaluate.split_counts import (
    TOLERANCES,
    PictureSplits,
    SplitCounts,
    count_splits,
    judge_picture,
)
from armseg_ros.evaluate.splits import TOLERANCE
from armseg_ros.evaluate.tote_color import tote_color
from armseg_ros.types import Detections, Frame, Instances

SeedFigures = dict[str, float | int | None]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPicture:
    """What ground truth says about one picture at the operating point.

    Attributes:
        splits: At the tolerance of the rules, 0.8.
        counts: By tolerance, then by rule.
        information: Variation of information in bits, split and merge part; None without truth.
        seed: The seed's eight figures; None where they say nothing.
        seed_compat: The same the seed's way; None where nobody asked.
        attributes: What the picture is like.
        tote_color: Measured on the tote; empty without one.
    """

    splits: PictureSplits
    counts: dict[float, dict[str, SplitCounts]]
    information: tuple[float, float] | None
    seed: SeedFigures
    seed_compat: dict[str, float | int] | None
    attributes: SampleAttributes
    tote_color: str

    @property
    def at_tolerance(self) -> dict[str, SplitCounts]:
        """Counts by rule at the tolerance of the rules."""
        return self.counts[TOLERANCE]


def judge(
    frame: Frame,
    operating: Operating,
    truth: Instances,
    idx: int,
    seed: Detections | None = None,
) -> JudgedPicture:
    """Judge one picture.

    Args:
        frame: The picture.
        operating: What the node would have answered.
        truth: Ground truth.
        idx: Number of the picture.
        seed: What the seed would have found, for its own figures.
    """
    found = operating.detections
    pictures = judge_picture(found, truth, -1.0, TOLERANCES)
    (splits,) = (picture for picture in pictures if picture.tolerance == TOLERANCE)
    by_score = splits.shown[np.argsort(found.scores[splits.shown], kind="stable")]
    return JudgedPicture(
        splits=splits,
        counts={picture.tolerance: count_splits(picture) for picture in pictures},
        information=variation_of_information(
            [found.masks[i] for i in by_score], [truth.masks[j] for j in splits.counted]
        ),
        seed=seed_figures(splits, found, truth, frame.hw),
        seed_compat=None if seed is None else compare_as_seed(seed, truth, frame.hw),
        attributes=describe_sample(frame, truth, idx),
        tote_color=tote_color(frame, truth),
    )
