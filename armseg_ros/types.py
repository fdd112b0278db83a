# SPDX-License-Identifier: Apache-2.0
"""Frozen value types that travel between the stages, and the checks of their shapes.

Arrays are made read-only on construction, so a stage can hand them on without copying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
Uint8Array = npt.NDArray[np.uint8]

OBJECT, TOTE = 0, 1
CLASS_NAMES = ("Object", "Tote")


def _check(name: str, array: npt.NDArray[Any], shape: tuple[int | None, ...], dtype: type) -> None:
    """Freeze ``array`` after checking it; ``None`` in ``shape`` matches any length."""
    matches = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not matches or array.dtype != dtype:
        want_text = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(
            f"{name} must be {np.dtype(dtype).name} of shape {want_text}, "
            f"not {array.dtype.name} of shape {array.shape}"
        )
    array.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera picture.

    Attributes:
        image: (H, W, 3) uint8, BGR. Not frozen: it may be a view of a message's own buffer.
        stamp_ns: Time of exposure, nanoseconds since the epoch.
        frame_id: Coordinate frame of the camera.
        sample_id: Name that stays the same in bag, COCO file and report (the COCO file name).
    """

    image: Uint8Array
    stamp_ns: int = 0
    frame_id: str = ""
    sample_id: str = ""

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(
                f"Frame.image of {self.sample_id!r} must be a non-empty (H, W, 3) uint8 array, "
                f"not {image.dtype.name} of shape {image.shape}"
            )

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class RawOutput:
    """What a network says about one picture, in one layout for every supported head.

    Attributes:
        candidates: (A, 5+C+M) float32 rows: centre x, centre y, width, height in network pixels,
            objectness 0..1, C class scores 0..1, M mask coefficients.
        prototypes: (M, h/4, w/4) float32 mask prototypes.
        features: (D,) float32 pooled features of the picture, or None.
    """

    candidates: Float32Array
    prototypes: Float32Array
    features: Float32Array | None = None

    def __post_init__(self) -> None:
        _check("RawOutput.prototypes", self.prototypes, (None, None, None), np.float32)
        _check("RawOutput.candidates", self.candidates, (None, None), np.float32)
        if self.class_count < 1:
            raise ValueError(
                f"RawOutput.candidates has {self.candidates.shape[1]} columns, which leaves no "
                f"class beside 5 box columns and {len(self.prototypes)} mask coefficients"
            )

    @property
    def class_count(self) -> int:
        """Number of classes C."""
        return int(self.candidates.shape[1]) - 5 - len(self.prototypes)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rows above a low score before non-maximum suppression, by descending score.

    Attributes:
        boxes: (K, 4) float32 x1, y1, x2, y2 in network pixels.
        scores: (K,) float32, objectness times best class score, 0..1.
        class_ids: (K,) int32 best class.
        coefficients: (K, M) float32 mask coefficients.
        suppressed_by: (K,) int32: index into the kept instances (0..N-1) of the instance that
            suppressed this row; a kept row holds its own instance index; -1 where the row was not
            suppressed but did not become an instance either (low score, or over the limit).
    """

    boxes: Float32Array
    scores: Float32Array
    class_ids: Int32Array
    coefficients: Float32Array
    suppressed_by: Int32Array

    def __post_init__(self) -> None:
        count = len(self.scores)
        _check("Candidates.boxes", self.boxes, (count, 4), np.float32)
        _check("Candidates.scores", self.scores, (count,), np.float32)
        _check("Candidates.class_ids", self.class_ids, (count,), np.int32)
        _check("Candidates.coefficients", self.coefficients, (count, None), np.float32)
        _check("Candidates.suppressed_by", self.suppressed_by, (count,), np.int32)

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A binary mask as a crop of the picture.

    Attributes:
        crop: (h, w) bool; h or w may be 0.
        x: Column of the crop's left edge in source pixels, at least 0.
        y: Row of the crop's top edge in source pixels, at least 0.
    """

    crop: BoolArray
    x: int
    y: int

    def __post_init__(self) -> None:
        _check("Mask.crop", self.crop, (None, None), np.bool_)
        if self.x < 0 or self.y < 0:
            raise ValueError(f"Mask offset ({self.x}, {self.y}) must not be negative")

    @property
    def area(self) -> int:
        """Number of set pixels."""
        return int(np.count_nonzero(self.crop))


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Objects in one picture; ground truth is exactly this, without scores.

    Attributes:
        boxes: (N, 4) float32 x1, y1, x2, y2 in source pixels, half-open.
        class_ids: (N,) int32, see ``CLASS_NAMES``.
        masks: N crops in source pixels.
        crowd: (N,) bool, True where ground truth marks a group that must not count as a miss.
    """

    boxes: Float32Array
    class_ids: Int32Array
    masks: tuple[Mask, ...]
    crowd: BoolArray

    def __post_init__(self) -> None:
        count = len(self.masks)
        _check("Instances.boxes", self.boxes, (count, 4), np.float32)
        _check("Instances.class_ids", self.class_ids, (count,), np.int32)
        _check("Instances.crowd", self.crowd, (count,), np.bool_)

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True, slots=True, eq=False)
class Detections(Instances):
    """Instances that a network found, by descending score.

    Attributes:
        scores: (N,) float32, 0..1, descending.
    """

    scores: Float32Array

    def __post_init__(self) -> None:
        Instances.__post_init__(self)
        _check("Detections.scores", self.scores, (len(self.masks),), np.float32)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Wall time of each stage for one frame, in milliseconds; NaN where a stage did not run."""

    decode: float = float("nan")
    preprocess: float = float("nan")
    inference: float = float("nan")
    postprocess: float = float("nan")
    quality: float = float("nan")
    total: float = float("nan")
