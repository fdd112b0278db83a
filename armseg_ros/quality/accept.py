# SPDX-License-Identifier: Apache-2.0
"""Let flags judge another file of the weights that they were fitted to, once it is measured.

Quantised, the network answers a little differently, and the flags read its finest signs: it has
to be shown that they are as good on its answers as on those that they were fitted to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armseg_ros.errors import DataError
from armseg_ros.quality.check import check
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.table import QualityTable

FIGURES = ("auroc", "average_precision")


def accept(
    model: QualityModel, known: QualityTable, other: QualityTable
) -> tuple[QualityModel, tuple[str, ...]]:
    """Add a detector to those that the flags know.

    Args:
        model: The flags.
        known: Pictures answered by a detector that the flags know, not seen in fitting.
        other: The same pictures answered by the other file.

    Returns:
        The flags that know it, and a sentence with the figures of each target.

    Raises:
        DataError: The tables are of different pictures or of some used in fitting, hold too few
            errors to tell, or a figure falls below the 95 % interval of the known detector's.
    """
    pictures = [
        sorted({name for name, v in zip(t.sample_ids, t.variant, strict=True) if v == 0})
        for t in (known, other)
    ]
    if pictures[0] != pictures[1]:
        raise DataError(
            f"the tables hold {len(pictures[0])} and {len(pictures[1])} pictures that are not the "
            "same; segment the same pictures with both files"
        )
    wider = replace(model, detectors=(*dict.fromkeys((*model.detectors, other.detector)),))
    before, after = check(model, known), check(wider, other)
    if seen := before["scenes_seen_in_fitting"]:
        raise DataError(
            f"{seen} of the scenes were used for fitting, which flatters the known detector; "
            "segment other pictures with both files"
        )
    sentences = tuple(
        _hold(f"{target}, {name}", before[target]["instance"], after[target]["instance"], name)
        for target in ("over", "under")
        if target in model.classifiers
        for name in FIGURES
    )
    return wider, sentences


def _hold(title: str, before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    interval = before[f"{name}_interval"]
    if interval is None or after[name] is None:
        raise DataError(f"{title}: too few errors among the pictures to tell; take more of them")
    said = f"{title}: {before[name]:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
    if after[name] < interval[0]:
        raise DataError(
            f"{said} with the known detector, but {after[name]:.3f} with the other one; "
            "fit flags to it"
        )
    return f"{said}, other {after[name]:.3f}"
