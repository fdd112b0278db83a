# SPDX-License-Identifier: Apache-2.0
"""Names, grids and arguments of the kernels in ``kernels/kernels.cu``; pure, so that tests run it.

Pointers are device addresses as ``np.uintp``; every argument has the width that the kernel reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from armseg_ros.decode import PROTOTYPE_STRIDE, prototype_positions
from armseg_ros.letterbox import Letterbox

BLOCK = (32, 8)
ROW_BLOCK = (128, 1)
WORD_BLOCK = (4, 32)
WORD_BITS = 32
QUAD_GAIN = 2.0  # source pixels per network pixel from which Bayer quads lose nothing

# Encoding: bytes per pixel (0: a Bayer pattern), and where its red sample is, as the kernel has it.
ENCODINGS = {
    "bgr8": (3, 2),
    "rgb8": (3, 0),
    "bgra8": (4, 2),
    "rgba8": (4, 0),
    "mono8": (1, 0),
    "bayer_rggb8": (0, 0),
    "bayer_grbg8": (0, 1),
    "bayer_gbrg8": (0, 2),
    "bayer_bggr8": (0, 3),
}


@dataclass(frozen=True, slots=True)
class Launch:
    """One call of a kernel.

    Attributes:
        kernel: Its name.
        grid: Blocks along x and y.
        block: Threads of a block along x and y.
        arguments: NumPy scalars in the kernel's order.
    """

    kernel: str
    grid: tuple[int, int]
    block: tuple[int, int]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """How the rows of a network lie in memory.

    Attributes:
        rows: Number of rows A.
        row_step: Elements from one row to the next.
        column_step: Elements from one column to the next.
        has_objectness: False where the network gives none (YOLOv8).
        classes: Number of classes C.
        masks: Number of mask coefficients M.
    """

    rows: int
    row_step: int
    column_step: int
    has_objectness: bool
    classes: int
    masks: int

    @classmethod
    def of_shape(cls, shape: tuple[int, ...], masks: int, cells: int) -> Head:
        """Read the shape of the rows: (1, 3 cells, 5+C+M), or (1, 4+C+M, cells)."""
        _, first, second = shape
        if first == 3 * cells:
            return cls(first, second, 1, True, second - 5 - masks, masks)
        return cls(second, 1, second, False, first - 4 - masks, masks)

    @property
    def width(self) -> int:
        """Columns of a row that is kept: 5+C+M."""
        return 5 + self.classes + self.masks


def kernel_suffix(dtype: np.dtype[Any]) -> str:
    """Ending of the kernels that read or write a type: ``f32`` or ``f16``."""
    return {"float32": "f32", "float16": "f16"}[dtype.name]


def letterbox_launch(
    picture: int, pitch: int, encoding: str, letterbox: Letterbox, output: tuple[int, str]
) -> Launch:
    """Resize, pad, reorder and scale a picture.

    Args:
        picture: Device address of the pixels.
        pitch: Bytes from row to row.
        encoding: One of ``ENCODINGS``.
        letterbox: Geometry.
        output: Device address of (3, h, w), and ``f32`` or ``f16``.
    """
    pixel_bytes, red = ENCODINGS[encoding]
    (source_h, source_w), (height, width) = letterbox.source_hw, letterbox.network_hw
    left, top, right, bottom = letterbox.content_xyxy
    gain_x, gain_y = source_w / (right - left), source_h / (bottom - top)
    kind = "colour"
    if pixel_bytes == 0:
        kind = "quads" if min(gain_x, gain_y) >= QUAD_GAIN else "bayer"
    if kind == "quads":
        gain_x, gain_y = gain_x / 2, gain_y / 2
    integers = (width, height, left, top, right, bottom)
    return Launch(
        f"letterbox_{kind}_{output[1]}",
        _grid((width, height), BLOCK),
        BLOCK,
        (
            np.uintp(picture),
            *(np.int32(value) for value in (pitch, source_w, source_h, pixel_bytes, red)),
            np.uintp(output[0]),
            *(np.int32(value) for value in integers),
            np.float32(gain_x),
            np.float32(gain_y),
        ),
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """Where the rows that pass are put: device addresses.

    Attributes:
        rows: (capacity, 5+C+M) float32.
        numbers: (capacity,) int32.
        count: One int32, 0 before the launch.
        capacity: Rows that fit.
    """

    rows: int
    numbers: int
    count: int
    capacity: int


def select_launch(
    rows: int, suffix: str, head: Head, threshold: float, selection: Selection
) -> Launch:
    """Keep the rows that ``decode.select_candidates`` would keep."""
    integers = (
        *(head.rows, head.row_step, head.column_step),
        *(int(head.has_objectness), head.classes, head.masks),
    )
    return Launch(
        f"select_rows_{suffix}",
        _grid((head.rows, 1), ROW_BLOCK),
        ROW_BLOCK,
        (
            np.uintp(rows),
            *(np.int32(value) for value in integers),
            np.float32(threshold),
            np.uintp(selection.rows),
            np.uintp(selection.numbers),
            np.uintp(selection.count),
            np.int32(selection.capacity),
        ),
    )


@dataclass(frozen=True, slots=True)
class MaskWindow:
    """One mask: its crop in source pixels, and the prototypes under it.

    Attributes:
        crop: Left, top, right, bottom in source pixels, half-open.
        prototypes: First column, first row, width, height in prototype pixels.
        start_xy: Prototype pixel of the first source pixel's centre, relative to the window.
        step_xy: Prototype pixels per source pixel.
    """

    crop: tuple[int, int, int, int]
    prototypes: tuple[int, int, int, int]
    start_xy: tuple[float, float]
    step_xy: tuple[float, float]

    @property
    def words(self) -> int:
        """32-bit words of one row of the crop."""
        return math.ceil((self.crop[2] - self.crop[0]) / WORD_BITS)


def mask_window(
    crop: tuple[int, int, int, int], letterbox: Letterbox, prototype_hw: tuple[int, int]
) -> MaskWindow:
    """Find the prototypes under a crop, as ``decode.crop_masks`` does.

    Args:
        crop: Left, top, right, bottom in source pixels, at least one pixel.
        letterbox: Geometry.
        prototype_hw: Height and width of the prototypes.
    """
    left, top, right, bottom = crop
    gain_x, gain_y = letterbox.gain_xy
    (first_x, end_x), x = prototype_positions(letterbox, 1, (left, right), prototype_hw[1])
    (first_y, end_y), y = prototype_positions(letterbox, 0, (top, bottom), prototype_hw[0])
    return MaskWindow(
        crop,
        (first_x, first_y, end_x - first_x, end_y - first_y),
        (float(x[0]), float(y[0])),
        (gain_x / PROTOTYPE_STRIDE, gain_y / PROTOTYPE_STRIDE),
    )


def mask_launches(
    window: MaskWindow,
    coefficients: int,
    prototypes: tuple[int, str, tuple[int, int, int]],
    logits: int,
    bits: int,
) -> tuple[Launch, Launch]:
    """Compute the logits of one instance on its window, then its mask in source pixels.

    Args:
        window: Of the instance.
        coefficients: Device address of its (M,) float32.
        prototypes: Device address, ``f32`` or ``f16``, and shape (M, h, w).
        logits: Device address of scratch memory for the window, float32.
        bits: Device address of rows of ``window.words`` words.
    """
    address, suffix, (masks, rows, columns) = prototypes
    first_x, first_y, width, height = window.prototypes
    left, top, right, bottom = window.crop
    logit_integers = (masks, columns, rows, first_x, first_y, width, height)
    crop = (right - left, bottom - top, window.words)
    return (
        Launch(
            f"mask_logits_{suffix}",
            _grid((width, height), BLOCK),
            BLOCK,
            (
                np.uintp(coefficients),
                np.uintp(address),
                *(np.int32(value) for value in logit_integers),
                np.uintp(logits),
            ),
        ),
        Launch(
            "mask_bits",
            _grid((window.words, bottom - top), WORD_BLOCK),
            WORD_BLOCK,
            (
                np.uintp(logits),
                np.int32(width),
                np.int32(height),
                np.float32(window.start_xy[0]),
                np.float32(window.step_xy[0]),
                np.float32(window.start_xy[1]),
                np.float32(window.step_xy[1]),
                *(np.int32(value) for value in crop),
                np.uintp(bits),
            ),
        ),
    )


def _grid(size: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    return math.ceil(size[0] / block[0]), math.ceil(size[1] / block[1])
