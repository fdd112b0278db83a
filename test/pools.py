# SPDX-License-Identifier: Apache-2.0
"""Pools of pictures on a line, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from armseg_ros.latent.pool import FOUND, UNCERTAINTY, Pool, Slices


def make(
    positions: Sequence[float],
    errors: Sequence[float | None],
    *,
    p_over: Sequence[float] | None = None,
    p_under: Sequence[float] | None = None,
    uncertainty: Sequence[float] | None = None,
    tote_color: Sequence[str] | None = None,
) -> Pool:
    """Make a pool; an error of None is an unlabelled picture."""
    count = len(positions)
    unknown = [np.nan] * count
    vectors = np.column_stack((positions, np.zeros(count))).astype(np.float32)
    evidence = {
        "p_over": p_over or unknown,
        "p_under": p_under or unknown,
        UNCERTAINTY: uncertainty or [0.5] * count,
        FOUND: [3] * count,
    }
    slices = {}
    if tote_color is not None:
        names = sorted(set(tote_color))
        codes = np.array([names.index(colour) for colour in tote_color], np.int32)
        slices["tote_color"] = Slices(tuple(names), codes)
    return Pool(
        inputs=({"run": "run", "content_sha256": "0"},),
        run=np.zeros(count, np.int32),
        sample_ids=tuple(f"{index:04d}.jpg" for index in range(count)),
        image_ids=np.arange(count),
        vectors=vectors,
        errors=np.array([np.nan if e is None else e for e in errors], np.float32),
        evidence={name: np.array(values, np.float32) for name, values in evidence.items()},
        slices=slices,
    )
