# SPDX-License-Identifier: Apache-2.0
"""Classes of a model against ours: a model may name them in another order, or find others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from armseg_ros.data.coco import CATEGORIES, CATEGORY_ID_OF_CLASS
from armseg_ros.data.coco_records import CategoryId
from armseg_ros.types import CLASS_NAMES, OBJECT, Detections


def our_class_ids(class_names: Sequence[str]) -> tuple[int, ...] | None:
    """Give our class id of each class of a model by name; case does not matter.

    Returns:
        As many ids as the model has classes; None where it names none, or one that is not ours.
    """
    known = {name.lower(): class_id for class_id, name in enumerate(CLASS_NAMES)}
    ids = tuple(known.get(name.lower(), -1) for name in class_names)
    named_once = len(set(ids)) == len(ids)
    return ids if ids and -1 not in ids and named_once else None


def with_classes(detections: Detections, class_ids: Sequence[int]) -> Detections:
    """Replace each class id by the one at its place in ``class_ids``."""
    return replace(detections, class_ids=np.asarray(class_ids, np.int32)[detections.class_ids])


def as_drawn(detections: Detections, class_names: Sequence[str]) -> Detections:
    """Give the classes that overlays know; whatever else a model finds is drawn as an object."""
    ours = our_class_ids(class_names)
    if ours is not None:
        return with_classes(detections, ours)
    return replace(detections, class_ids=np.full_like(detections.class_ids, OBJECT))


def category_numbering(class_names: Sequence[str]) -> CategoryId:
    """Give the COCO category of each class of a model, as ``categories_of`` lists them."""
    ours = our_class_ids(class_names)
    if ours is None:
        return lambda class_id: class_id + 1
    return lambda class_id: CATEGORY_ID_OF_CLASS[ours[class_id]]


def categories_of(class_names: Sequence[str]) -> list[dict[str, Any]]:
    """List the COCO categories that a model's results are written with.

    Returns:
        ARMBench's where the model's classes are ours; else the model's own, numbered from 1 in its
        order; empty where it names none (its results are numbered from 1 all the same).
    """
    if our_class_ids(class_names) is not None:
        return [dict(category) for category in CATEGORIES]
    return [{"id": number, "name": name} for number, name in enumerate(class_names, 1)]
