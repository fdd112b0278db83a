# SPDX-License-Identifier: Apache-2.0
"""Random views of training pictures: geometry, colour, mosaic, copy-paste.

Every function takes its randomness as a generator, so a view is a function of its seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.config import require_range
from armseg_ros.train.pictures import IGNORE, MAX_INSTANCES, NOTHING, Picture, label_values
from armseg_ros.types import OBJECT, TOTE, Float32Array, Uint8Array

GREY = 114
"""Value of pixels outside the picture, as the letterbox of the segmenter fills them."""
MIN_SIDE_PX = 3
"""Boxes no thicker than this at network size are ignored: no prototype pixel may lie inside."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How views are drawn.

    Attributes:
        flip: Probability of each mirror axis, 0..1.
        turn: Probability that a batch is turned by 90 degrees (and is portrait), 0..1.
        tilt_deg: Standard deviation of a small rotation, applied to half of the views, 0..45.
        scale_low: Smallest zoom relative to the whole picture filling the network, 0.1..1.
        scale_high: Largest zoom, 1..4.
        colour: Strength of the HSV, exposure and contrast changes, 0..2; 1 is the usual.
        blur: Probability of blur, and again of noise, 0..0.5.
        mosaic: Probability that a view is put together from four pictures, 0..1.
        copy_paste: Probability that objects of another picture are pasted in, 0..1.
        min_area_px: Instances with fewer visible pixels are ignored, at network size.
    """

    flip: float = 0.5
    turn: float = 0.5
    tilt_deg: float = 4.0
    scale_low: float = 0.75
    scale_high: float = 1.35
    colour: float = 1.0
    blur: float = 0.15
    mosaic: float = 0.1
    copy_paste: float = 0.1
    min_area_px: int = 32

    def __post_init__(self) -> None:
        for key in ("flip", "turn", "mosaic", "copy_paste"):
            require_range(f"augment.{key}", getattr(self, key), 0.0, 1.0)
        require_range("augment.tilt_deg", self.tilt_deg, 0.0, 45.0)
        require_range("augment.scale_low", self.scale_low, 0.1, 1.0)
        require_range("augment.scale_high", self.scale_high, 1.0, 4.0)
        require_range("augment.colour", self.colour, 0.0, 2.0)
        require_range("augment.blur", self.blur, 0.0, 0.5)
        require_range("augment.min_area_px", self.min_area_px, 0, 10**6)


NO_AUGMENTATION = AugmentSettings(
    flip=0, turn=0, tilt_deg=0, scale_low=1, scale_high=1, colour=0, blur=0, mosaic=0, copy_paste=0
)


def warp(picture: Picture, matrix: npt.NDArray[np.float64], hw: tuple[int, int]) -> Picture:
    """Move a picture by a 2x3 matrix (source to view, pixel centres at integers)."""
    size = (hw[1], hw[0])
    image = cv2.warpAffine(
        picture.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY)
    )
    labels = [cv2.warpAffine(la, matrix, size, flags=cv2.INTER_NEAREST) for la in picture.labels]
    return Picture(
        np.asarray(image, np.uint8), np.asarray(np.stack(labels), np.uint8), picture.class_ids
    )


def random_matrix(
    rng: np.random.Generator,
    source_hw: tuple[int, int],
    hw: tuple[int, int],
    settings: AugmentSettings,
    turned: bool = False,
) -> npt.NDArray[np.float64]:
    """Draw a matrix of flips, a quarter turn where ``turned``, tilt, zoom and shift."""
    height, width = source_hw
    tilt = rng.normal(0, settings.tilt_deg) if rng.random() < 0.5 else 0.0
    angle = math.radians(tilt + (90 if turned else 0))
    shown_h, shown_w = (width, height) if turned else (height, width)
    low, high = math.log(settings.scale_low), math.log(settings.scale_high)
    scale = min(hw[0] / shown_h, hw[1] / shown_w) * math.exp(rng.uniform(low, high))
    mirror = np.where(rng.random(2) < settings.flip, -1.0, 1.0)
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    linear = np.array([[cosine, -sine], [sine, cosine]]) * mirror
    slack = np.abs([hw[1] - shown_w * scale, hw[0] - shown_h * scale]) / 2
    shift = rng.uniform(-1, 1, 2) * slack * (settings.scale_high > settings.scale_low)
    centre = np.array([hw[1] - 1, hw[0] - 1]) / 2 + shift
    offset = centre - linear @ (np.array([width - 1, height - 1]) / 2)
    return np.column_stack((linear, offset))


def change_colour(rng: np.random.Generator, image: Uint8Array, strength: float) -> Uint8Array:
    """Change hue, saturation, gamma, gain, offset and white balance; (H, W, 3) RGB."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    ramp = np.arange(256)
    hue = (ramp + int(rng.uniform(-6, 6) * strength)) % 180
    saturation = (ramp * (1 + rng.uniform(-0.5, 0.5) * strength)).clip(0, 255)
    table = np.stack((hue, saturation, ramp), 1).astype(np.uint8)
    image = np.asarray(cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2RGB), np.uint8)
    gamma = math.exp(rng.normal(0, 0.25) * strength)
    gain = math.exp(rng.uniform(-0.4, 0.35) * strength)
    curve = (ramp / 255) ** gamma * 255 * gain + rng.uniform(-25, 25) * strength
    balance = 1 + rng.uniform(-0.08, 0.08, 3) * strength
    table = (curve[:, None] * balance).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def soften(rng: np.random.Generator, image: Uint8Array, probability: float) -> Uint8Array:
    """Blur with ``probability``, else add noise with the same probability."""
    draw = rng.random()
    if draw < probability:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    if draw < 2 * probability:
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 12)
        return (image + noise).clip(0, 255).astype(np.uint8)
    return image


def mosaic(rng: np.random.Generator, parts: Sequence[Picture], hw: tuple[int, int]) -> Picture:
    """Put four pictures around a random centre, each filling its quarter.

    Instances cut by a seam keep their visible part; ids are renumbered.
    """
    height, width = hw
    row = int(height * rng.uniform(0.35, 0.65))
    column = int(width * rng.uniform(0.35, 0.65))
    depth = max(len(part.labels) for part in parts)
    image = np.empty((height, width, 3), np.uint8)
    labels = np.zeros((depth, height, width), np.uint8)
    class_ids: list[int] = []
    windows = [(0, 0, row, column), (0, column, row, width)]
    windows += [(row, 0, height, column), (row, column, height, width)]
    for part, (top, left, bottom, right) in zip(parts, windows, strict=True):
        matrix = _cover_matrix(rng, part.hw, (bottom - top, right - left))
        view = warp(part, matrix, (bottom - top, right - left))
        image[top:bottom, left:right] = view.image
        moved = _renumber(view.labels, len(class_ids))
        labels[: len(moved), top:bottom, left:right] = moved
        class_ids.extend(part.class_ids.tolist())
    return Picture(image, labels, np.array(class_ids[:MAX_INSTANCES], np.int32))


def _cover_matrix(
    rng: np.random.Generator, source_hw: tuple[int, int], hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return a matrix under which a picture covers the whole of ``hw``."""
    scale = max(hw[0] / source_hw[0], hw[1] / source_hw[1]) * rng.uniform(1.0, 1.3)
    spare = np.array([source_hw[1] * scale - hw[1], source_hw[0] * scale - hw[0]])
    offset = -spare * rng.random(2) + scale / 2 - 0.5
    return np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])


def _renumber(labels: Uint8Array, first: int) -> Uint8Array:
    """Add ``first`` to all instance ids; ids that leave the byte become IGNORE."""
    table = np.arange(256) + first
    table[table > MAX_INSTANCES] = IGNORE
    table[NOTHING], table[IGNORE] = NOTHING, IGNORE
    return np.asarray(table.astype(np.uint8)[labels])


def copy_paste(rng: np.random.Generator, picture: Picture, donor: Picture) -> Picture:
    """Paste one to four objects of ``donor``, a view of the same size, on top of ``picture``.

    A pasted object hides other objects. It hides the tote too where tote masks mean the visible
    part, which the donor tells: there its own tote does not run on beneath the object.
    """
    objects = [k for k in sorted(label_values(donor.labels)) if donor.class_ids[k - 1] == OBJECT]
    room = MAX_INSTANCES - len(picture.class_ids)
    count = min(len(objects), int(rng.integers(1, 5)), room)
    if count == 0:
        return picture
    image, labels = picture.image.copy(), picture.labels.copy()
    class_ids = picture.class_ids.tolist()
    for k in rng.permutation(objects)[:count].tolist():
        mask = (donor.labels == k).any(0)
        image[mask] = donor.image[mask]
        _hide(labels, mask, picture, visible_totes=not _is_tote(donor, mask).any())
        class_ids.append(OBJECT)
        target = next((la for la in labels if not la[mask].any()), None)
        if target is None:
            target = np.zeros(picture.hw, np.uint8)
            labels = np.concatenate((labels, target[None]))
            target = labels[-1]
        target[mask] = len(class_ids)
    return Picture(image, labels, np.array(class_ids, np.int32))


def _is_tote(picture: Picture, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell for the pixels of a mask, in every layer, whether they carry a tote."""
    return _tote_table(picture)[picture.labels[:, mask]]


def _tote_table(picture: Picture) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, bool)
    table[1 : len(picture.class_ids) + 1] = picture.class_ids == TOTE
    return table


def _hide(
    labels: Uint8Array, mask: npt.NDArray[np.bool_], picture: Picture, visible_totes: bool
) -> None:
    tote = _tote_table(picture)
    for layer in labels:
        covered = layer[mask]
        layer[mask] = np.where(tote[covered] & (not visible_totes), covered, NOTHING)


def read_targets(picture: Picture, min_area_px: int) -> tuple[Float32Array, Uint8Array]:
    """Read boxes from the labels.

    Args:
        picture: A view at network size.
        min_area_px: Instances with fewer pixels become IGNORE, as do those of MIN_SIDE_PX or less.

    Returns:
        (n, 7) float32 rows of class, centre x, centre y, width, height (pixels, half-open box),
        layer, instance id; and the labels with the ignored instances marked.
    """
    rows: list[tuple[float, ...]] = []
    ignored = np.arange(256, dtype=np.uint8)
    for index, layer in enumerate(picture.labels):
        for k, (left, top, right, bottom), area in _extents(layer):
            width, height = right - left, bottom - top
            if area < min_area_px or min(width, height) <= MIN_SIDE_PX:
                ignored[k] = IGNORE
                continue
            centre = ((left + right) / 2, (top + bottom) / 2)
            rows.append((picture.class_ids[k - 1], *centre, width, height, index, k))
    return np.array(rows, np.float32).reshape(-1, 7), ignored[picture.labels]


def _extents(layer: Uint8Array) -> list[tuple[int, tuple[int, int, int, int], int]]:
    """List id, half-open box and area of every instance in one layer."""
    height, width = layer.shape
    areas = np.bincount(layer.ravel(), minlength=256)
    in_row = np.zeros((256, height), bool)
    in_column = np.zeros((256, width), bool)
    in_row[layer, np.arange(height)[:, None]] = True
    in_column[layer, np.arange(width)[None]] = True
    out = []
    for k in np.flatnonzero(areas[: MAX_INSTANCES + 1]):
        if k == NOTHING:
            continue
        ys, xs = np.flatnonzero(in_row[k]), np.flatnonzero(in_column[k])
        box = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
        out.append((int(k), box, int(areas[k])))
    return out
