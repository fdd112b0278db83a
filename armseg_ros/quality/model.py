# SPDX-License-Identifier: Apache-2.0
"""The fitted flags: from a decoded picture to calibrated probabilities and a verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armseg_ros.config import DecodeConfig, QualityConfig
from armseg_ros.errors import DataError, shown
from armseg_ros.quality.classifier import Classifier, from_plain, to_plain
from armseg_ros.quality.evidence import Evidence, gather
from armseg_ros.quality.features import Features, compute_features, feature_names, tote_coverage
from armseg_ros.quality.frames import FRAME_COLUMNS, frame_columns
from armseg_ros.quality.pairs import PAIR_FEATURES, PAIR_MARGIN, strongest_margin
from armseg_ros.quality.result import (
    PairKind,
    Quality,
    SuspectPair,
    Verdict,
    unknown_quality,
)
from armseg_ros.types import Candidates, Detections, Float32Array, RawOutput

FORMAT_VERSION = 1
DUPLICATE_IOMIN = 0.7  # share of the smaller mask inside the other: the same thing twice
TARGETS = ("over", "under", "pair", "frame_over", "frame_under")


@dataclass(frozen=True, slots=True, eq=False)
class QualityModel:
    """Classifiers for one detector.

    Attributes:
        detectors: SHA-256 of the model files that the flags were fitted to.
        classifiers: By target; a target that could not be fitted is missing.
        training: What they were fitted on; for people and reports.
        references: Simpler models on the same data, for comparison only.
        unfitted: Why a target is missing, by target.
    """

    detectors: tuple[str, ...]
    classifiers: dict[str, Classifier]
    training: dict[str, Any] = field(default_factory=dict)
    references: dict[str, dict[str, Classifier]] = field(default_factory=dict)
    unfitted: dict[str, str] = field(default_factory=dict)

    def assess(
        self,
        decoded: tuple[Detections, Candidates],
        raw: RawOutput,
        tensor: Float32Array,
        detector_sha256: str,
        *,
        config: QualityConfig | None = None,
        decode_config: DecodeConfig | None = None,
    ) -> Quality:
        """Judge one picture.

        Args:
            decoded: What ``decode`` returned.
            raw: The network's answer.
            tensor: (1, 3, h, w) float32 network input, RGB in 0..1.
            detector_sha256: Hash of the network's file.
            config: Thresholds of the verdict; None takes the defaults.
            decode_config: What the picture was decoded with; other thresholds than those of the
                fit are told among the reasons, for the probabilities are then less certain.

        Returns:
            Probabilities; NaN and ``UNKNOWN`` with a reason where the detector is not one that
            the model was fitted to, or where the network answered with numbers that are not
            finite. The tote coverage needs no fit.
        """
        detections, candidates = decoded
        config = config or QualityConfig()
        evidence = gather(candidates, detections, raw, tensor)
        if detector_sha256 not in self.detectors:
            reason = (
                f"the quality model was fitted to detector {self.detectors[0][:12]}, "
                f"not to {detector_sha256[:12] or 'one without a hash'}; fit it again"
            )
            coverage = tote_coverage(evidence)
            return unknown_quality(len(detections), config, reason, coverage)
        if not evidence.finite:
            reason = "the network's mask coefficients or prototypes are not finite"
            return unknown_quality(len(detections), config, reason)
        quality = self._judge(evidence, compute_features(evidence), len(detections), config)
        strange = self._strange_thresholds(decode_config)
        return replace(quality, reasons=(*quality.reasons, strange)) if strange else quality

    def _judge(
        self, evidence: Evidence, features: Features, count: int, config: QualityConfig
    ) -> Quality:
        pairs = features.pairs
        p_pair = np.full(len(pairs), np.nan, np.float32)
        table, names = features.instances, features.names
        pair = self.classifiers.get("pair")
        if pair is not None:
            margins = pair.margin(pairs.features, PAIR_FEATURES)
            p_pair = pair.calibrate(margins)
            rows = np.stack((pairs.first, pairs.second), axis=1)
            table, names = _with_margin(table, names, strongest_margin(rows, margins, len(table)))
        p_over = self._probability("over", table, names)
        p_under = self._probability("under", table, names)
        frame = [
            self._frame_probability(target, p, features.tote_coverage)
            for target, p in (("frame_over", p_over), ("frame_under", p_under))
        ]
        suspects = _suspects(evidence, features, p_pair, config.over_threshold)
        flagged = np.flatnonzero(p_under >= config.under_threshold)
        return Quality(
            p_over=_scatter(p_over, evidence, count, np.float32(np.nan)),
            p_under=_scatter(p_under, evidence, count, np.float32(np.nan)),
            partner=_partners(evidence, features, p_pair, count),
            frame_p_over=frame[0],
            frame_p_under=frame[1],
            verdict=_verdict(frame, (bool(suspects), bool(len(flagged))), config),
            pairs=suspects,
            under_indices=tuple(evidence.objects[flagged].tolist()),
            tote_coverage=features.tote_coverage,
            thresholds=config,
            reasons=tuple(f"{name}: {why}" for name, why in sorted(self.unfitted.items())),
        )

    def _strange_thresholds(self, decode_config: DecodeConfig | None) -> str:
        fitted = self.training.get("thresholds") or {}
        names = [n for n, v in fitted.items() if decode_config and getattr(decode_config, n) != v]
        return "; ".join(
            f"{name} is {getattr(decode_config, name)}, the flags were fitted at {fitted[name]}"
            for name in names
        )

    def instance_columns(
        self,
        table: Float32Array,
        names: tuple[str, ...],
        pairs: tuple[npt.NDArray[np.integer[Any]], Float32Array],
    ) -> tuple[Float32Array, tuple[str, ...]]:
        """Add what the pair model says to the features of the instances.

        Args:
            table: (R, F) features of instances.
            names: F names.
            pairs: (Q, 2) rows of the instances of each pair, and (Q, P) pair features.
        """
        classifier = self.classifiers.get("pair")
        if classifier is None:
            return table, names
        margins = classifier.margin(pairs[1], PAIR_FEATURES)
        return _with_margin(table, names, strongest_margin(pairs[0], margins, len(table)))

    def _probability(
        self, target: str, table: Float32Array, names: tuple[str, ...]
    ) -> Float32Array:
        classifier = self.classifiers.get(target)
        if classifier is None:
            return np.full(len(table), np.nan, np.float32)
        return classifier.probability(table, names)

    def _frame_probability(self, target: str, p: Float32Array, coverage: float) -> float:
        columns = frame_columns(p, coverage)[None]
        return float(self._probability(target, columns, FRAME_COLUMNS)[0])

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        document = {
            "format": "armseg quality model",
            "version": FORMAT_VERSION,
            "detectors": list(self.detectors),
            "training": self.training,
            "unfitted": self.unfitted,
            "classifiers": {name: to_plain(c) for name, c in self.classifiers.items()},
            "references": {
                target: {name: to_plain(c) for name, c in models.items()}
                for target, models in self.references.items()
            },
        }
        path.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")


def load_quality_model(path: Path) -> QualityModel:
    """Read a model.

    Raises:
        DataError: The file is missing, damaged, of another version, or reads features that are
            not made.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot read a quality model ({error})") from error
    if not isinstance(document, dict) or document.get("version") != FORMAT_VERSION:
        raise DataError(f"{path}: not a quality model of version {FORMAT_VERSION}; fit it again")
    try:
        detectors = tuple(str(sha) for sha in document["detectors"])
        classifiers = {
            name: from_plain(values)
            for name, values in document["classifiers"].items()
            if name in TARGETS
        }
        references = {
            target: {name: from_plain(values) for name, values in models.items()}
            for target, models in document["references"].items()
        }
        training, unfitted = dict(document["training"]), dict(document["unfitted"])
        known = DecodeConfig.__slots__
        if not dict(training.get("thresholds") or {}).keys() <= set(known):
            raise ValueError("it was fitted at thresholds that do not exist")
    except DataError as error:
        raise DataError(f"{path}: {error}; fit it again") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: the quality model is damaged ({error}); fit it again") from error
    if not detectors:
        raise DataError(f"{path}: names no detector; fit it again")
    if strange := _strange_column(classifiers):
        raise DataError(f"{path}: the feature {shown(strange)} is not made; fit it again")
    return QualityModel(detectors, classifiers, training, references, unfitted)


def _strange_column(classifiers: dict[str, Classifier]) -> str:
    """Name a column that a classifier reads and that no picture has; empty without one."""
    instance = {*feature_names(), *([PAIR_MARGIN] if "pair" in classifiers else [])}
    for target, classifier in classifiers.items():
        known = {"pair": {*PAIR_FEATURES}, "over": instance, "under": instance}
        strange = set(classifier.columns) - known.get(target, {*FRAME_COLUMNS})
        if strange:
            return min(strange)
    return ""


def _with_margin(
    table: Float32Array, names: tuple[str, ...], strongest: Float32Array
) -> tuple[Float32Array, tuple[str, ...]]:
    return np.column_stack((table, strongest)), (*names, PAIR_MARGIN)


def _scatter(
    values: Float32Array, evidence: Evidence, count: int, missing: np.float32
) -> Float32Array:
    out = np.full(count, missing, np.float32)
    out[evidence.objects] = values
    return out


def _partners(evidence: Evidence, features: Features, p_pair: Float32Array, count: int) -> Any:
    partner = np.full(count, -1, np.int32)
    pairs = features.pairs
    first, second = evidence.objects[pairs.first].tolist(), evidence.objects[pairs.second].tolist()
    if np.isnan(p_pair).any():  # there is no model of pairs
        return partner
    for index in np.argsort(p_pair, kind="stable").tolist():  # the most probable one comes last
        partner[first[index]], partner[second[index]] = second[index], first[index]
    return partner


def _suspects(
    evidence: Evidence, features: Features, p_pair: Float32Array, threshold: float
) -> tuple[SuspectPair, ...]:
    pairs = features.pairs
    iomin = pairs.features[:, PAIR_FEATURES.index("mask_iomin")]
    order = [k for k in np.argsort(-p_pair, kind="stable") if p_pair[k] >= threshold]
    return tuple(
        SuspectPair(
            int(evidence.objects[pairs.first[k]]),
            int(evidence.objects[pairs.second[k]]),
            PairKind.DUPLICATE if iomin[k] > DUPLICATE_IOMIN else PairKind.MERGE,
            float(p_pair[k]),
        )
        for k in order
    )


def _verdict(frame: list[float], suspects: tuple[bool, bool], config: QualityConfig) -> Verdict:
    over = frame[0] >= config.over_threshold or suspects[0]
    under = frame[1] >= config.under_threshold or suspects[1]
    if not (over or under) and np.isnan(frame).any():
        return Verdict.UNKNOWN
    return Verdict(int(over) * Verdict.LIKELY_OVER + int(under) * Verdict.LIKELY_UNDER)
