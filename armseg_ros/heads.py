# SPDX-License-Identifier: Apache-2.0
"""Tell the supported network heads apart by their shapes and bring them into one layout.

With S = h/8*w/8 + h/16*w/16 + h/32*w/32 cells for an h x w input, YOLOv5-seg answers with
(1, 3*S, 5+C+M) rows and YOLOv8/11-seg with (1, 4+C+M, S) columns; both add (1, M, h/4, w/4)
prototypes. Exports with suppression built in are refused: they have thrown away the candidates
that the quality flags are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from armseg_ros.errors import BackendError
from armseg_ros.types import Float32Array, RawOutput

Outputs = Sequence[npt.NDArray[Any]]


def read_outputs(
    outputs: Outputs, network_hw: tuple[int, int], class_count: int | None = None
) -> RawOutput:
    """Bring the outputs of one forward pass into the common layout.

    Args:
        outputs: Arrays as the engine returned them, float16 or float32, in any order: one of three
            dimensions, one of four, and optionally one of two (pooled features).
        network_hw: Height and width of the network input.
        class_count: Number of class names in the model's metadata, None where it has none.

    Raises:
        BackendError: The shapes are not those of a supported head; the message shows them.
    """
    rows, prototypes, features = _sort_outputs(outputs)
    head = _recognise(rows, prototypes, network_hw, outputs)
    mask_count = prototypes.shape[1]
    if head == "yolov5":
        candidates = rows[0].astype(np.float32, copy=False)
    else:
        candidates = _add_objectness(rows[0])
    found = candidates.shape[1] - 5 - mask_count
    if found < 1 or (class_count is not None and found != class_count):
        named = "at least 1" if class_count is None else f"{class_count} in its metadata"
        raise BackendError(
            f"the network has {found} classes, expected {named}; outputs are {_shapes(outputs)}"
        )
    return RawOutput(
        candidates,
        prototypes[0].astype(np.float32, copy=False),
        None if features is None else features[0].astype(np.float32, copy=False),
    )


def _sort_outputs(
    outputs: Outputs,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]:
    by_rank = {rank: [o for o in outputs if o.ndim == rank] for rank in (2, 3, 4)}
    single_batch = all(o.ndim > 0 and o.shape[0] == 1 for o in outputs)
    counts = [len(by_rank[rank]) for rank in (3, 4)]
    if counts != [1, 1] or len(by_rank[2]) > 1 or not single_batch:
        raise _unsupported(outputs, None)
    return by_rank[3][0], by_rank[4][0], by_rank[2][0] if by_rank[2] else None


def _recognise(
    rows: npt.NDArray[Any],
    prototypes: npt.NDArray[Any],
    network_hw: tuple[int, int],
    outputs: Outputs,
) -> Literal["yolov5", "yolov8"]:
    height, width = network_hw
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    if prototypes.shape[2:] == (height // 4, width // 4):
        if rows.shape[1] == 3 * cells:
            return "yolov5"
        if rows.shape[2] == cells:
            return "yolov8"
    raise _unsupported(outputs, network_hw)


def _add_objectness(columns: npt.NDArray[Any]) -> Float32Array:
    """Turn (4+C+M, S) columns into (S, 5+C+M) rows with objectness 1."""
    out = np.empty((columns.shape[1], columns.shape[0] + 1), np.float32)
    out[:, :4] = columns[:4].T
    out[:, 4] = 1
    out[:, 5:] = columns[4:].T
    return out


def _shapes(outputs: Outputs) -> str:
    return ", ".join(str(list(output.shape)) for output in outputs)


def _unsupported(outputs: Outputs, network_hw: tuple[int, int] | None) -> BackendError:
    where = "" if network_hw is None else f" for a {network_hw[0]}x{network_hw[1]} input"
    return BackendError(
        f"outputs of shape {_shapes(outputs)}{where} are neither YOLOv5-seg "
        "([1, anchors, 5+classes+32] and [1, 32, h/4, w/4]) nor YOLOv8/11-seg "
        "([1, 4+classes+32, cells] and [1, 32, h/4, w/4]); "
        "export the segmentation model with batch 1 and without built-in NMS"
    )
