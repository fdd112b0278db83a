# SPDX-License-Identifier: Apache-2.0
"""Annotations that cannot be right, or are hardly worth having."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pycocotools import mask as coco_mask

from armseg_ros.data.check.finding import Finding
from armseg_ros.masks import encode_full
from armseg_ros.types import CLASS_NAMES, OBJECT, TOTE, Instances

TINY_TOTE = 0.1  # of the picture; the camera is made to see all of a tote
TINY_OBJECT = 0.0003  # of the picture, box: 39 px across at 2448x2048, what the seed calls small
SAME_IOU = 0.9


def check_labels(
    truth: Instances, hw: tuple[int, int], source: str, sample_id: str
) -> Iterator[Finding]:
    """Check the annotations of one picture.

    Args:
        truth: Its ground truth.
        hw: Its size in pixels.
        source: Name of the split.
        sample_id: Name of the picture.
    """
    pixels = hw[0] * hw[1]
    areas = np.array([mask.area for mask in truth.masks], np.int64)
    totes = np.flatnonzero((truth.class_ids == TOTE) & ~truth.crowd)
    if not len(totes):
        yield Finding("missing-tote", source, sample_id, f"{len(truth)} annotations, no Tote")
    for index in np.flatnonzero(areas == 0):
        name = CLASS_NAMES[truth.class_ids[index]]
        yield Finding("empty-mask", source, sample_id, f"{name} without pixels",
                      annotation=int(index))  # fmt: skip
    for index in totes:
        share = areas[index] / pixels
        if 0 < share < TINY_TOTE:
            yield Finding("tiny-tote", source, sample_id, f"covers {share:.2%} of the picture",
                          annotation=int(index))  # fmt: skip
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    for index in np.flatnonzero((truth.class_ids == OBJECT) & ~truth.crowd & (areas > 0)):
        if sides[index].prod() < TINY_OBJECT * pixels:
            width, height = sides[index]
            yield Finding("tiny-object", source, sample_id, f"{width:.0f}x{height:.0f} px",
                          annotation=int(index))  # fmt: skip
    yield from _repeated(truth, hw, source, sample_id)


def _repeated(
    truth: Instances, hw: tuple[int, int], source: str, sample_id: str
) -> Iterator[Finding]:
    for class_id, name in enumerate(CLASS_NAMES):
        members = np.flatnonzero((truth.class_ids == class_id) & ~truth.crowd)
        if len(members) < 2:
            continue
        coded = [encode_full(truth.masks[index], hw) for index in members]
        iou = np.triu(coco_mask.iou(coded, coded, [False] * len(coded)), 1)
        for a, b in np.argwhere(iou >= SAME_IOU):
            yield Finding(
                "repeated-label",
                source,
                sample_id,
                f"{name} as annotation {members[a]}, IoU {iou[a, b]:.3f}",
                annotation=int(members[b]),
            )
