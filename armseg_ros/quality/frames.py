# SPDX-License-Identifier: Apache-2.0
"""From the probabilities of the instances to what a whole picture's is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from armseg_ros.types import BoolArray, Float32Array

if TYPE_CHECKING:  # the node reads this module, and needs no tables
    from armseg_ros.quality.table import QualityTable

FRAME_COLUMNS = ("largest", "second", "any", "kept_count", "uncovered")


def frame_columns(p: Float32Array, tote_coverage: float) -> Float32Array:
    """(len(FRAME_COLUMNS),) what the picture's own probability is made from.

    Args:
        p: (N,) float32 probabilities of its instances.
        tote_coverage: 0..1, or NaN.

    Fragments come in pairs, so that 1 - prod(1 - p) alone overstates.
    """
    ordered = np.sort(np.append(np.nan_to_num(p), (0.0, 0.0)))[::-1]
    log_none = -np.log1p(-np.minimum(ordered, 0.999)).sum()
    uncovered = 0.5 if np.isnan(tote_coverage) else 1 - tote_coverage
    return np.array([*ordered[:2], log_none, np.log1p(len(p)), uncovered], np.float32)


def frame_rows(
    table: QualityTable, p: Float32Array, labels: BoolArray
) -> tuple[Float32Array, BoolArray]:
    """Columns (K, 5) and labels (K,) of whole pictures, from those of their instances."""
    order = np.argsort(table.picture, kind="stable")
    edges = np.searchsorted(table.picture[order], np.arange(len(table) + 1))
    columns, any_label = [], []
    for picture in range(len(table)):
        rows = order[edges[picture] : edges[picture + 1]]
        columns.append(frame_columns(p[rows], float(table.coverage[picture])))
        any_label.append(bool(labels[rows].any()))
    return np.stack(columns), np.array(any_label, np.bool_)
