# SPDX-License-Identifier: Apache-2.0
"""What the flags said over a whole run, truth aside."""

from __future__ import annotations

from collections import Counter
from typing import Any

from armseg_ros.quality.result import Quality, Verdict


class FlagTally:
    """Counts verdicts and why there was none."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._thresholds: tuple[float, float] | None = None

    def add(self, quality: Quality | None) -> None:
        """Count one answered picture; None where nobody judged it."""
        if quality is None:
            self._reasons["nobody judged it"] += 1
            self._verdicts[Verdict.UNKNOWN.name.lower()] += 1
            return
        self._verdicts[quality.verdict.name.lower()] += 1
        self._reasons.update(quality.reasons)
        config = quality.thresholds
        self._thresholds = config.over_threshold, config.under_threshold

    def summary(self) -> dict[str, Any]:
        """Sum up: pictures by verdict, the thresholds behind them, and pictures by reason."""
        over, under = self._thresholds or (None, None)
        return {
            "over_threshold": over,
            "under_threshold": under,
            "verdicts": {v.name.lower(): self._verdicts[v.name.lower()] for v in Verdict},
            "reasons": dict(sorted(self._reasons.items())),
        }
