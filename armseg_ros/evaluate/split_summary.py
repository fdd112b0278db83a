# SPDX-License-Identifier: Apache-2.0
"""Split and merge figures of a whole run, with intervals that draw whole scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.evaluate.judged import JudgedPicture
from armseg_ros.evaluate.split_counts import RULES, TOLERANCES, SplitCounts
from armseg_ros.evaluate.split_slices import in_order, slices_of
from armseg_ros.evaluate.splits import TOLERANCE

DRAWS = 1000


class SplitTally:
    """Collects judged pictures; a few numbers each."""

    def __init__(self) -> None:
        self._scenes: list[str] = []
        self._slices: list[dict[str, str]] = []
        self._counts: dict[tuple[float, str], list[SplitCounts]] = {
            (tolerance, rule): [] for tolerance in TOLERANCES for rule in RULES
        }
        self._information: list[tuple[float, float]] = []
        self._seed: list[dict[str, Any]] = []
        self._seed_compat: list[dict[str, Any]] = []

    def add(self, judged: JudgedPicture, scene: str, attributes: dict[str, Any]) -> None:
        """Add one picture.

        Args:
            judged: What ground truth says.
            scene: Pictures of one scene are drawn together for the intervals.
            attributes: Of its record; a tote colour there goes before the measured one.
        """
        self._scenes.append(scene)
        self._slices.append(slices_of(judged, attributes))
        for tolerance, by_rule in judged.counts.items():
            for rule, counts in by_rule.items():
                self._counts[tolerance, rule].append(counts)
        if judged.information is not None:
            self._information.append(judged.information)
        self._seed.append(judged.seed)
        if judged.seed_compat is not None:
            self._seed_compat.append(judged.seed_compat)

    def state(self) -> dict[str, Any]:
        """Give what was collected as plain values, for ``take``."""
        return {
            "scenes": self._scenes,
            "slices": self._slices,
            "counts": [
                [tolerance, rule, [list(astuple(counts)) for counts in pictures]]
                for (tolerance, rule), pictures in self._counts.items()
            ],
            "information": self._information,
            "seed": self._seed,
            "seed_compat": self._seed_compat,
        }

    def take(self, state: dict[str, Any], scene_prefix: str = "") -> None:
        """Add what another tally collected; the prefix tells its scenes from those of others."""
        self._scenes += [scene_prefix + scene for scene in state["scenes"]]
        self._slices += state["slices"]
        for tolerance, rule, pictures in state["counts"]:
            self._counts[tolerance, rule] += [SplitCounts(*counts) for counts in pictures]
        self._information += [(split, merge) for split, merge in state["information"]]
        self._seed += state["seed"]
        self._seed_compat += state["seed_compat"]

    def summary(self) -> dict[str, Any] | None:
        """Sum up; None where no picture was judged."""
        if not self._scenes:
            return None
        everything = np.ones(len(self._scenes), np.bool_)
        return {
            "tolerance": TOLERANCE,
            "scenes": len(set(self._scenes)),
            **self._figures(everything),
            "sweep": [
                {"tolerance": t, **{r: _with_rates(self._counts[t, r]) for r in RULES}}
                for t in TOLERANCES
            ],
            "variation_of_information": self._mean_information(),
            "seed_figures": _mean_figures(self._seed),
            "seed_compat": _mean_figures(self._seed_compat) if self._seed_compat else None,
            "slices": self._by_slice(),
        }

    def _figures(self, chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Counts, rates and intervals of both rules on some of the pictures."""
        scenes = np.array(self._scenes)[chosen]
        out = {}
        for rule in RULES:
            counts = [
                c for c, use in zip(self._counts[TOLERANCE, rule], chosen, strict=True) if use
            ]
            out[rule] = {**_with_rates(counts), "intervals": rate_intervals(counts, scenes)}
        return out

    def _by_slice(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in self._slices[0]:
            values = np.array([slices.get(name, "") for slices in self._slices])
            out[name] = {
                value: {"pictures": int((values == value).sum())} | self._figures(values == value)
                for value in sorted({*values.tolist()}, key=in_order)
                if value
            }
        return out

    def _mean_information(self) -> dict[str, Any] | None:
        if not self._information:
            return None
        split, merge = np.mean(self._information, axis=0).tolist()
        return {"pictures": len(self._information), "split_bits": split, "merge_bits": merge}


def _with_rates(counts: Sequence[SplitCounts]) -> dict[str, Any]:
    total = sum(counts, SplitCounts())
    return {**asdict(total), **total.rates()}


def _mean_figures(pictures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the pictures where a figure says something, and how many those are."""
    out: dict[str, Any] = {}
    for name in pictures[0]:
        values = [picture[name] for picture in pictures if picture[name] is not None]
        mean = float(np.mean(values)) if values else None
        out[name] = {"mean": mean, "pictures": len(values)}
    return out


def rate_intervals(
    counts: Sequence[SplitCounts], scenes: npt.NDArray[np.str_], seed: int = 0
) -> dict[str, list[float] | None]:
    """Give the 95 % interval of every rate, by drawing whole scenes with replacement.

    Args:
        counts: Of each picture.
        scenes: Scene of each picture.
        seed: Of the draws.

    Returns:
        Lowest and highest by rate; None where most draws have nothing to divide by, or where
        there is one scene only.
    """
    names, group = np.unique(scenes, return_inverse=True)
    totals = [SplitCounts() for _ in names]
    for index, one in zip(group.tolist(), counts, strict=True):
        totals[index] += one
    rng = np.random.default_rng(seed)
    columns = list(asdict(SplitCounts()))
    table = np.array([list(asdict(total).values()) for total in totals], np.int64)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    drawn = [SplitCounts(**dict(zip(columns, row, strict=True))).rates()
             for row in (weights @ table).tolist()]  # fmt: skip
    out: dict[str, list[float] | None] = {}
    for name in SplitCounts().rates():
        values = [rates[name] for rates in drawn if rates[name] is not None]
        if len(names) < 2 or 2 * len(values) < DRAWS:
            out[name] = None
        else:
            out[name] = np.percentile(np.array(values, float), [2.5, 97.5]).tolist()
    return out
