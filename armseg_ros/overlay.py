# SPDX-License-Identifier: Apache-2.0
"""Draw instances on a picture for people to look at."""

from __future__ import annotations

import cv2
import numpy as np

from armseg_ros.masks import shrink
from armseg_ros.types import OBJECT, Detections, Instances, Uint8Array

FILL = 0.45  # share of the colour in a filled mask: print on the object stays readable
TOTE_COLOR = (255, 255, 255)
TOTE_LABEL_COLOR = (70, 70, 70)
HUE_STEP = 0.618034 * 180  # golden ratio: neighbours in the list get colours far apart


def draw_overlay(image: Uint8Array, instances: Instances, scale: float = 1.0) -> Uint8Array:
    """Draw masks, outlines and scores.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        instances: Detections (scores are written) or ground truth, in pixels of ``image``.
        scale: Size of the result, above 0 to 1; drawing happens at that size, which is quicker.

    Returns:
        (h, w, 3) uint8 BGR. Objects are filled, each in a colour of its own; totes are outlined.
    """
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        out = image.copy()
    else:
        out = cv2.resize(image, size, interpolation=cv2.INTER_AREA).view(np.uint8)
    thickness = max(1, round(max(size) / 700))
    for index in range(len(instances) - 1, -1, -1):  # the best score is drawn last, on top
        _draw_instance(out, instances, index, (scale, thickness))
    if isinstance(instances, Detections):
        for index in range(len(instances) - 1, -1, -1):
            _draw_score(out, instances, index, scale)
    return out


def draw_labels(instances: Instances, hw: tuple[int, int], scale: float = 1.0) -> Uint8Array:
    """Paint each instance in its colour on black: the label image for people's eyes.

    Args:
        instances: In source pixels; the first ones lie on top.
        hw: Height and width of the source in pixels.
        scale: Size of the result, above 0 to 1.

    Returns:
        (h, w, 3) uint8 BGR; totes are dark grey.
    """
    out = np.zeros((max(1, round(hw[0] * scale)), max(1, round(hw[1] * scale)), 3), np.uint8)
    is_object = instances.class_ids == OBJECT
    for index in sorted(range(len(instances)), key=lambda i: (is_object[i], -i)):
        mask = shrink(instances.masks[index], scale)
        height, width = mask.crop.shape
        region = out[mask.y : mask.y + height, mask.x : mask.x + width]
        crop = mask.crop[: region.shape[0], : region.shape[1]]
        region[crop] = instance_color(index) if is_object[index] else TOTE_LABEL_COLOR
    return out


def instance_color(index: int) -> tuple[int, int, int]:
    """BGR colour of the instance at ``index``; the same index always has the same colour."""
    hsv = np.array([[[index * HUE_STEP % 180, 220, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def _draw_instance(
    out: Uint8Array, instances: Instances, index: int, style: tuple[float, int]
) -> None:
    scale, thickness = style
    mask = shrink(instances.masks[index], scale)
    height, width = mask.crop.shape
    if not mask.crop.any():
        return
    region = out[mask.y : mask.y + height, mask.x : mask.x + width]
    filled = instances.class_ids[index] == OBJECT
    color = instance_color(index) if filled else TOTE_COLOR
    crop = mask.crop[: region.shape[0], : region.shape[1]]
    if filled:
        region[crop] = (
            region[crop] * np.float32(1 - FILL) + np.array(color, np.float32) * np.float32(FILL)
        ).astype(np.uint8)
    contours, _ = cv2.findContours(
        np.ascontiguousarray(crop).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(region, contours, -1, color, thickness)


def _draw_score(out: Uint8Array, detections: Detections, index: int, scale: float) -> None:
    """Write the score at the centre of the box, dark under light so that it reads on anything."""
    left, top, right, bottom = detections.boxes[index] * scale
    font_scale = max(0.35, max(out.shape[:2]) / 2400)
    text = f"{detections.scores[index]:.2f}"
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, font_scale, 1)
    if detections.class_ids[index] == OBJECT:
        x, y = (left + right - text_width) / 2, (top + bottom + text_height) / 2
    else:
        x, y = left + 4, top + text_height + 4
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(
            out,
            text,
            (int(x), int(y)),
            cv2.FONT_HERSHEY_SIMPLEX,
            font_scale,
            color,
            max(1, round(font_scale * 2 * thickness)),
            cv2.LINE_AA,
        )
