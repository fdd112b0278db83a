# SPDX-License-Identifier: Apache-2.0
"""How sure the network is of every mask."""

from __future__ import annotations

import numpy as np

from armseg_ros.quality.cells import Cells
from armseg_ros.quality.evidence import Evidence
from armseg_ros.types import Float32Array


def sharpness_features(evidence: Evidence, cells: Cells) -> dict[str, Float32Array]:
    """How sure the network is of each mask; ``stability`` is that of Segment Anything."""
    logits, in_box = evidence.logits, evidence.in_box
    certain = np.bincount(cells.owner[cells.logits > 1], minlength=len(evidence)).astype(np.float32)
    possible = ((logits > -1) & in_box).sum(axis=(1, 2), dtype=np.float32)
    anywhere = (logits > 0).sum(axis=(1, 2), dtype=np.float32)
    return {
        "stability": certain / np.maximum(possible, 1),
        "unsure_share": (possible - certain) / np.maximum(possible, 1),
        "logit_mean": cells.mean(cells.logits[:, None])[:, 0],
        "cropped_share": (anywhere - cells.filled) / np.maximum(anywhere, 1),
    }
