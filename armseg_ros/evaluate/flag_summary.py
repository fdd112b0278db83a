# SPDX-License-Identifier: Apache-2.0
"""What the flags said over a whole run, and how good they were where ground truth tells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from armseg_ros.errors import DataError
from armseg_ros.evaluate.answer import Provenance
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.quality.check import check
from armseg_ros.quality.features import compute_features
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.result import Verdict
from armseg_ros.quality.table import (
    TABLE_NAME,
    PictureRows,
    QualityTable,
    build_table,
    label_picture,
    save_table,
)


class FlagTally:
    """Counts verdicts and why there was none; keeps features and labels of labelled pictures."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._thresholds: tuple[float, float] | None = None
        self._rows: list[PictureRows] = []

    def add(self, result: FrameResult, scene: str) -> None:
        """Take in one answered picture of a scene."""
        assert result.operating is not None
        quality, evidence = result.operating.quality, result.operating.evidence
        if quality is None:
            self._reasons["nobody judged it"] += 1
            self._verdicts[Verdict.UNKNOWN.name.lower()] += 1
        else:
            self._verdicts[quality.verdict.name.lower()] += 1
            self._reasons.update(quality.reasons)
            config = quality.thresholds
            self._thresholds = config.over_threshold, config.under_threshold
        if evidence is not None and evidence.finite and result.truth is not None:
            features = compute_features(evidence)
            labels = label_picture(evidence, features, result.operating.detections, result.truth)
            self._rows.append(PictureRows(result.sample_id, scene, 0, features, *labels))

    def state(self) -> dict[str, Any]:
        """Give what was counted as plain values, for ``take``."""
        thresholds = list(self._thresholds) if self._thresholds else None
        return {
            "verdicts": dict(self._verdicts),
            "reasons": dict(self._reasons),
            "thresholds": thresholds,
        }

    def take(self, state: dict[str, Any]) -> None:
        """Add what another tally counted at the same thresholds."""
        self._verdicts.update(state["verdicts"])
        self._reasons.update(state["reasons"])
        if state["thresholds"]:
            self._thresholds = tuple(state["thresholds"])

    def summary(
        self, provenance: Provenance, origin: dict[str, Any], folder: Path
    ) -> dict[str, Any]:
        """Sum up, and write the table that flags are fitted to and checked on.

        Args:
            provenance: Who answered, and with which flags.
            origin: Where the pictures came from and how they were decoded.
            folder: The run's.

        Returns:
            Pictures by verdict and by reason, the thresholds behind them, and the sheet of the
            flags, or why there is none.
        """
        sheet, reason = self._sheet(provenance, origin, folder)
        return self.counted() | {"sheet": sheet, "no_sheet": reason}

    def counted(self) -> dict[str, Any]:
        """Give pictures by verdict and by reason, and the thresholds behind them."""
        over, under = self._thresholds or (None, None)
        return {
            "over_threshold": over,
            "under_threshold": under,
            "verdicts": {v.name.lower(): self._verdicts[v.name.lower()] for v in Verdict},
            "reasons": dict(sorted(self._reasons.items())),
        }

    def _sheet(
        self, provenance: Provenance, origin: dict[str, Any], folder: Path
    ) -> tuple[dict[str, Any] | None, str]:
        table = None
        if self._rows:
            table = build_table(self._rows, provenance.sha256, origin)
            save_table(table, folder / TABLE_NAME)
        return make_sheet(table, provenance.flags)


def make_sheet(
    table: QualityTable | None, flags: QualityModel | None
) -> tuple[dict[str, Any] | None, str]:
    """Check flags on the pictures of a run; None and the reason where that cannot be."""
    if table is None:
        return None, "no labelled picture was answered in this process, or not with finite numbers"
    if flags is None:
        return None, "nobody judged the pictures"
    try:
        return check(flags, table), ""
    except DataError as error:
        return None, str(error)
