# SPDX-License-Identifier: Apache-2.0
"""``summary.json`` of a run, and the table that a person reads at its end."""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

import cv2
import numpy as np

from armseg_ros.data.source import Source
from armseg_ros.evaluate.answer import Provenance
from armseg_ros.evaluate.coco import MaskAndBoxScorer
from armseg_ros.evaluate.counts import Counts, count_matches
from armseg_ros.evaluate.flag_summary import FlagTally
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.slices import SliceIndex
from armseg_ros.evaluate.split_summary import SplitTally
from armseg_ros.evaluate.tables import STAGES
from armseg_ros.types import CLASS_NAMES

FORMAT_VERSION = 2
PERCENTILES = (50, 90, 99)
_PACKAGES = ("armseg_ros", "numpy", "onnxruntime", "openvino", "tensorrt", "pycocotools")


@dataclass(slots=True)
class Tally:
    """What accumulates over the frames of a run, one small entry a frame."""

    operating_threshold: float
    group_by: str = ""
    status: dict[str, int] = field(
        default_factory=lambda: {"answered": 0, "dropped": 0, "failed": 0}
    )
    unanswered: list[dict[str, str]] = field(default_factory=list)
    counts: dict[str, Counts] = field(
        default_factory=lambda: {name: Counts() for name in CLASS_NAMES}
    )
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    slices: SliceIndex = field(default_factory=SliceIndex)
    splits: SplitTally = field(default_factory=SplitTally)
    flags: FlagTally = field(default_factory=FlagTally)

    def add(self, result: FrameResult) -> None:
        """Count one frame."""
        self.status[result.status] += 1
        if result.answer is None:
            self.unanswered.append(
                {"sample_id": result.sample_id, "status": result.status, "reason": result.reason}
            )
            return
        for stage in STAGES:
            self.latencies[stage].append(getattr(result.answer.times, stage))
        self.latencies["round_trip"].append(result.answer.round_trip_ms)
        if result.truth is not None:
            for name, counts in count_matches(result, self.operating_threshold).items():
                self.counts[name] += counts
            self.slices.add(result)
        if result.operating is not None:
            scene = str(result.attributes.get(self.group_by, result.sample_id))
            self.flags.add(result, scene)
            if result.judged is not None:
                self.splits.add(result.judged, scene, result.attributes)

    def state(self) -> dict[str, Any]:
        """Give everything as plain values, for ``take``."""
        return {
            "status": self.status,
            "unanswered": self.unanswered,
            "counts": {name: asdict(counts) for name, counts in self.counts.items()},
            "latencies": self.latencies,
            "slices": self.slices.state(),
            "splits": self.splits.state(),
            "flags": self.flags.state(),
        }

    def take(self, state: dict[str, Any], prefix: str, numbers: dict[int, int]) -> None:
        """Add what another run counted with the same settings.

        Args:
            state: Its ``state``.
            prefix: What stands before its sample ids from now on.
            numbers: New numbers of its pictures by the old ones.
        """
        for status, count in state["status"].items():
            self.status[status] += count
        for record in state["unanswered"]:
            self.unanswered.append({**record, "sample_id": prefix + record["sample_id"]})
        for name, counts in state["counts"].items():
            self.counts[name] += Counts(**counts)
        for stage, values in state["latencies"].items():
            self.latencies[stage] += values
        self.slices.take(state["slices"], numbers)
        self.splits.take(state["splits"], "" if self.group_by else prefix)
        self.flags.take(state["flags"])


def accuracy(scorer: MaskAndBoxScorer, tally: Tally) -> dict[str, Any] | None:
    """Score a run; None where no picture is labelled, never 0."""
    if not scorer.pictures:
        return None
    return {
        "pictures": scorer.pictures,
        "instances": scorer.instances,
        **{
            kind: {name: asdict(values) for name, values in by_class.items()}
            for kind, by_class in scorer.figures().items()
        },
        "at_threshold": {
            "score_threshold": tally.operating_threshold,
            "mask_iou": 0.5,
            **{
                name: asdict(counts) | {"precision": counts.precision, "recall": counts.recall}
                for name, counts in tally.counts.items()
            },
        },
        "object_mask_by": tally.slices.figures(scorer.mask),
    }


def latency(tally: Tally) -> dict[str, dict[str, float]]:
    """Give percentiles, mean and largest of each stage that ran, in milliseconds."""
    out = {}
    for stage, values in tally.latencies.items():
        ran = np.array([value for value in values if not math.isnan(value)])
        if ran.size:
            out[stage] = {
                **{f"p{q}": float(np.percentile(ran, q)) for q in PERCENTILES},
                "mean": float(ran.mean()),
                "max": float(ran.max()),
            }
    return out


def settings_of(config: EvaluateConfig, provenance: Provenance) -> dict[str, Any]:
    """Say what the answers were decoded with; a node keeps thresholds of its own."""
    unknown = {"score_threshold": None, "iou_threshold": None, "max_detections": None}
    return {
        "mode": provenance.mode,
        **(provenance.thresholds or unknown),
        "thresholds_of": "this run" if provenance.mode == "in process" else "the node",
        "operating_threshold": config.operating_threshold,
        "operating_iou_threshold": config.operating_iou_threshold
        if provenance.mode == "in process"
        else None,
        "group_by": config.group_by,
        "seed_compat": config.seed_compat,
        "limit": config.limit,
    }


def data_of(source: Source, content_sha256: str) -> dict[str, Any]:
    """Say what was evaluated; the hash covers the pictures and labels of this run, in order."""
    return {
        "name": source.path.resolve().name,
        "kind": source.kind,
        "split": source.split,
        "pictures": len(source),
        "has_truth": source.has_truth,
        "content_sha256": content_sha256,
    }


def versions() -> dict[str, str]:
    """List the versions of what can move the figures, as far as it is installed."""
    out = {"opencv": cv2.__version__, "armseg_ros": "source tree, not installed"}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            out[package] = metadata.version(package)
    return out
