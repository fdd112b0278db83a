# SPDX-License-Identifier: Apache-2.0
"""Mask arithmetic on crops: overlap areas and COCO run-lengths; no full-frame mask is ever made.

COCO run-lengths are column-major and start with background. The compressed form is the string of
pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from armseg_ros.errors import DataError, shown
from armseg_ros.types import BoolArray, Float32Array, Mask

LARGEST_COORDINATE = 1e6  # px; far outside any picture, and pycocotools walks all the way there
LONGEST_OUTLINE = 1e7  # px of all polygons; it takes 80 bytes a pixel, and dies without a word
MOST_CORNERS = 1_000_000


def tight_mask(mask: BoolArray, x: int = 0, y: int = 0) -> Mask:
    """Cut an array to the smallest crop that holds its set pixels.

    Args:
        mask: (h, w) bool.
        x: Column of the array's left edge in source pixels.
        y: Row of the array's top edge in source pixels.

    Returns:
        The crop; an empty mask gives a (0, 0) crop at (x, y).
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return Mask(np.zeros((0, 0), bool), x, y)
    columns = np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    return Mask(crop.copy(order="F"), x + left, y + top)


def mask_box(mask: Mask) -> tuple[float, float, float, float]:
    """Tight half-open box x1, y1, x2, y2 of a mask in source pixels; all zero when it is empty."""
    tight = tight_mask(mask.crop, mask.x, mask.y)
    height, width = tight.crop.shape
    if width == 0:
        return 0.0, 0.0, 0.0, 0.0
    return float(tight.x), float(tight.y), float(tight.x + width), float(tight.y + height)


def full_mask(mask: Mask, hw: tuple[int, int]) -> BoolArray:
    """Paint a mask into an (H, W) bool array; for display, tests and foreign formats only."""
    out = np.zeros(hw, bool)
    height, width = mask.crop.shape
    out[mask.y : mask.y + height, mask.x : mask.x + width] = mask.crop
    return out


def encode_crop(mask: Mask) -> bytes:
    """Encode a crop as COCO compressed run-lengths of the crop itself; empty gives ``b""``."""
    if mask.crop.size == 0:
        return b""
    columns_first = np.asfortranarray(mask.crop).view(np.uint8)
    counts: bytes = coco_mask.encode(columns_first)["counts"]
    return counts


def decode_crop(counts: bytes, hw: tuple[int, int], xy: tuple[int, int]) -> Mask:
    """Decode what ``encode_crop`` wrote.

    Args:
        counts: COCO compressed run-lengths of the crop.
        hw: Height and width of the crop in pixels.
        xy: Column and row of the crop's top left pixel in source pixels.

    Raises:
        DataError: The run-lengths do not add up to the size of the crop.
    """
    height, width = hw
    if height == 0 or width == 0:
        return Mask(np.zeros(hw, bool), *xy)
    _check_run_lengths(counts, height * width)
    decoded = coco_mask.decode({"size": [height, width], "counts": counts})
    return Mask(decoded.view(np.bool_), *xy)


def encode_full(mask: Mask, hw: tuple[int, int]) -> dict[str, object]:
    """Encode a crop as COCO compressed run-lengths of the whole picture, from its runs alone.

    Args:
        mask: The crop; it must lie inside the picture.
        hw: Height and width of the picture in pixels.

    Returns:
        ``{"size": [H, W], "counts": str}``, byte for byte what pycocotools makes of the painted
        mask.

    Raises:
        ValueError: The crop reaches outside the picture.
    """
    height, width = hw
    crop_height, crop_width = mask.crop.shape
    if mask.y + crop_height > height or mask.x + crop_width > width:
        raise ValueError(
            f"mask crop {crop_height}x{crop_width} at ({mask.x}, {mask.y}) leaves the {hw} picture"
        )
    # One row of background below each column ends every run inside its column, unless the crop
    # is as high as the picture: then runs do continue from one column into the next.
    gap = 0 if crop_height == height else 1
    columns = np.zeros((crop_width, crop_height + gap), np.bool_)
    columns[:, :crop_height] = mask.crop.T
    edges = _edges(columns.ravel())
    column, row = np.divmod(edges, crop_height + gap)
    positions = (mask.x + column) * height + mask.y + row
    counts = np.diff(positions, prepend=0, append=height * width)
    if positions.size and positions[-1] == height * width:
        counts = counts[:-1]
    run_lengths = {"size": [height, width], "counts": counts.tolist()}
    compressed = coco_mask.frPyObjects(run_lengths, height, width)
    return {"size": [height, width], "counts": compressed["counts"].decode("ascii")}


def _edges(flat: BoolArray) -> npt.NDArray[np.intp]:
    """Positions where a value differs from the one before, with False before and after all."""
    inner = np.flatnonzero(flat[1:] != flat[:-1]) + 1  # on bool: np.diff would copy to integers
    first = [0] if flat[:1].any() else []
    last = [flat.size] if flat[-1:].any() else []
    return np.array([*first, *inner, *last], np.intp)


def decode_full(segmentation: Any, hw: tuple[int, int]) -> Mask:
    """Decode any COCO segmentation of a picture into its tight crop.

    Args:
        segmentation: A list of polygons (parts of one object), or run-lengths as a dict with
            ``size`` and ``counts`` (compressed string or plain list).
        hw: Height and width of the picture in pixels.

    Raises:
        DataError: It is none of these, has another size, or its runs do not fill the picture.
    """
    height, width = hw
    if isinstance(segmentation, list):
        return _decode_polygons(segmentation, hw)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise DataError("segmentation must be polygons or run-lengths with 'size' and 'counts'")
    if list(segmentation["size"]) != [height, width]:
        raise DataError(
            f"segmentation has size {shown(segmentation['size'])}, "
            f"but the picture is {height}x{width}"
        )
    counts = segmentation["counts"]
    if isinstance(counts, list):
        if not all(type(count) is int and count >= 0 for count in counts):
            raise DataError(f"run-lengths must be whole numbers, not {shown(counts)}")
        if sum(counts) != height * width:
            raise DataError(f"run-lengths add up to {sum(counts)}, not to {height}x{width} pixels")
        segmentation = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, *hw)
    else:
        if not isinstance(counts, (str, bytes)):
            raise DataError(f"run-lengths 'counts' must be text or a list, not {shown(counts)}")
        raw = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
        _check_run_lengths(raw, height * width)
        segmentation = {"size": [height, width], "counts": raw}
    return _tight_from_run_lengths(segmentation)


def _decode_polygons(polygons: list[Any], hw: tuple[int, int]) -> Mask:
    """Unite polygons; those of fewer than three corners hold no pixel and are left out."""
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2:
            raise DataError(
                f"a polygon must be a list of x, y, x, y, ... of even length, not {shown(polygon)}"
            )
    usable = [polygon for polygon in polygons if len(polygon) >= 6]
    if not usable:
        return Mask(np.zeros((0, 0), bool), 0, 0)
    for corner in (corner for polygon in usable for corner in polygon):
        if not isinstance(corner, (int, float)) or not abs(corner) <= LARGEST_COORDINATE:
            raise DataError(f"a polygon holds the coordinate {shown(corner)}")
    corners, outline = sum(map(len, usable)) // 2, sum(map(_outline_px, usable))
    if corners > MOST_CORNERS or outline > LONGEST_OUTLINE:
        raise DataError(
            f"the polygons have {corners} corners and an outline of {outline:.3g} px, more than "
            f"the {MOST_CORNERS} and {LONGEST_OUTLINE:.0e} px that are accepted"
        )
    return _tight_from_run_lengths(coco_mask.merge(coco_mask.frPyObjects(usable, *hw)))


def _outline_px(polygon: list[float]) -> float:
    """Length of a polygon's outline, each edge as its longer side along x or y."""
    corners = np.array(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())


def _tight_from_run_lengths(run_lengths: dict[str, Any]) -> Mask:
    """Decode compressed run-lengths and cut the mask to its own box."""
    x, y, width, height = (int(v) for v in coco_mask.toBbox(run_lengths))
    decoded = coco_mask.decode(run_lengths).view(np.bool_)
    return tight_mask(decoded[y : y + height, x : x + width], x, y)


def _check_run_lengths(counts: bytes, pixels: int) -> None:
    """Sum the compressed runs without painting them; pycocotools overruns on damaged input."""
    if len(counts) > 8 * (pixels + 1):  # no run is longer than 13 digits, none but one is empty
        raise DataError(f"{len(counts)} bytes of run-lengths are too many for {pixels} pixels")
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(counts) or shift > 60:
                raise DataError("compressed run-lengths end inside a number")
            chunk = counts[position] - 48
            if not 0 <= chunk < 64:
                raise DataError(f"compressed run-lengths hold the byte {counts[position]}")
            value |= (chunk & 0x1F) << shift
            more = bool(chunk & 0x20)
            position += 1
            shift += 5
            if not more and chunk & 0x10:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if runs[-1] < 0:
            raise DataError("compressed run-lengths hold a negative run")
    if sum(runs) != pixels:
        raise DataError(f"run-lengths add up to {sum(runs)} pixels, expected {pixels}")


def intersection_areas(a: Sequence[Mask], b: Sequence[Mask]) -> npt.NDArray[np.int64]:
    """Count the pixels that each pair of masks shares.

    Returns:
        (len(a), len(b)) int64; element (i, j) is the area of ``a[i]`` and ``b[j]`` in common.
    """
    out = np.zeros((len(a), len(b)), np.int64)
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            left, top = max(first.x, second.x), max(first.y, second.y)
            right = min(first.x + first.crop.shape[1], second.x + second.crop.shape[1])
            bottom = min(first.y + first.crop.shape[0], second.y + second.crop.shape[0])
            if right > left and bottom > top:
                out[i, j] = np.count_nonzero(
                    _window(first, left, top, right, bottom)
                    & _window(second, left, top, right, bottom)
                )
    return out


def _window(mask: Mask, left: int, top: int, right: int, bottom: int) -> BoolArray:
    return mask.crop[top - mask.y : bottom - mask.y, left - mask.x : right - mask.x]


def box_iou(a: Float32Array, b: Float32Array) -> Float32Array:
    """Intersection over union of boxes.

    Args:
        a: (P, 4) float32 x1, y1, x2, y2.
        b: (G, 4) float32 in the same pixels.

    Returns:
        (P, G) float32; element (i, j) compares ``a[i]`` with ``b[j]``; 0 where both are empty.
    """
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    area_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - shared
    out: Float32Array = np.zeros_like(shared)
    np.divide(shared, union, out=out, where=union > 0)
    return out


def paint_labels(masks: Sequence[Mask], hw: tuple[int, int]) -> npt.NDArray[np.uint16]:
    """Paint masks into a label image; where masks overlap, the first one owns the pixel.

    Returns:
        (H, W) uint16; 0 is background, k+1 is ``masks[k]``.
    """
    labels = np.zeros(hw, np.uint16)
    for index in range(len(masks) - 1, -1, -1):
        mask = masks[index]
        height, width = mask.crop.shape
        labels[mask.y : mask.y + height, mask.x : mask.x + width][mask.crop] = index + 1
    return labels


def shrink(mask: Mask, scale: float) -> Mask:
    """Scale a mask down (nearest pixel) for drawing on a reduced picture; ``scale`` in 0..1."""
    x, y = int(mask.x * scale), int(mask.y * scale)
    height, width = mask.crop.shape
    right, bottom = int((mask.x + width) * scale), int((mask.y + height) * scale)
    if right <= x or bottom <= y:
        return Mask(np.zeros((0, 0), bool), x, y)
    size = (right - x, bottom - y)
    small = cv2.resize(mask.crop.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return Mask(small.view(np.bool_), x, y)
