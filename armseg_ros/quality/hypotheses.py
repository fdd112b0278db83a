# SPDX-License-Identifier: Apache-2.0
"""What the network also considered: statistics of the candidates around every instance.

Suppressed candidates hold the network's own second opinions. Two disjoint small ones inside an
instance speak for a merge, a large one around two instances for a split. The cluster statistics
follow MetaDetect (Schubert et al., IJCNN 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armseg_ros.masks import box_iou
from armseg_ros.quality.evidence import Evidence
from armseg_ros.types import BoolArray, Float32Array

CLUSTER_IOU = 0.3
INSIDE = 0.8  # share of the smaller box that counts as inside
PART = 0.6  # share of the larger box below which the smaller one is a part
EXPLAINED_IOU = 0.5  # a candidate this close to another instance speaks for that one
APART_IOU = 0.1
MAX_CHILDREN = 12


@dataclass(frozen=True, slots=True, eq=False)
class Relations:
    """Candidates (C) against instances (N); every array is (C, N) float32.

    Attributes:
        iou: Of the boxes.
        inside: Share of the candidate's box inside the instance's.
        covers: Share of the instance's box inside the candidate's.
        cosine: Of the mask coefficients, -1..1.
    """

    iou: Float32Array
    inside: Float32Array
    covers: Float32Array
    cosine: Float32Array


def relate(evidence: Evidence) -> Relations:
    """Compare every candidate of the pool with every instance; empty boxes share nothing."""
    boxes, own = evidence.pool_boxes, evidence.boxes
    low = np.maximum(boxes[:, None, :2], own[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], own[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    area, own_area = _areas(boxes)[:, None], _areas(own)[None, :]
    cosine = _unit(evidence.pool_coefficients) @ _unit(evidence.coefficients).T
    return Relations(shared / (area + own_area - shared), shared / area, shared / own_area, cosine)


def _areas(boxes: Float32Array) -> Float32Array:
    areas: Float32Array = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32(1e-6))
    return areas


def _unit(rows: Float32Array) -> Float32Array:
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    unit: Float32Array = rows / np.maximum(norms, np.float32(1e-6))
    return unit


def hypothesis_features(evidence: Evidence, relations: Relations) -> dict[str, Float32Array]:
    """Compute the features of every instance; each is (N,) float32."""
    free = _unexplained(relations)
    inside = (relations.inside > INSIDE) & (relations.covers < PART)
    parents = (relations.covers > INSIDE) & (relations.inside < PART) & free
    children = inside & free
    return {
        **_cluster(evidence, relations),
        **_sums("children", evidence.pool_scores, children),
        **_sums("parents", evidence.pool_scores, parents),
        **_sums("inside", evidence.pool_scores, inside),
        "children_disjoint": _disjoint_pair(evidence, relations, children),
        "inside_disjoint": _disjoint_pair(evidence, relations, inside),
        "children_spread": _spread(relations.cosine, children),
        "parents_spread": _spread(relations.cosine, parents),
    }


def _unexplained(relations: Relations) -> BoolArray:
    """(C, N): whether no instance but the n-th is close to the candidate."""
    close = relations.iou > EXPLAINED_IOU
    others: BoolArray = close.sum(axis=1, keepdims=True) - close > 0
    return ~others


def _cluster(evidence: Evidence, relations: Relations) -> dict[str, Float32Array]:
    """Statistics of the candidates that resemble each instance more than any other."""
    count = len(evidence)
    best = relations.iou.argmax(axis=1) if count else np.zeros(0, np.intp)
    rows = np.flatnonzero(relations.iou[np.arange(len(best)), best] > CLUSTER_IOU)
    best = best[rows]
    own, boxes = evidence.boxes[best], evidence.pool_boxes[rows]
    size = np.maximum(own[:, 2:] - own[:, :2], np.float32(1e-3))
    shift = (boxes[:, :2] + boxes[:, 2:] - own[:, :2] - own[:, 2:]) / size / 2
    growth = np.log(np.maximum(boxes[:, 2:] - boxes[:, :2], np.float32(1e-3)) / size)
    members = np.bincount(best, minlength=count)
    values = np.column_stack(
        (
            evidence.pool_scores[rows],
            relations.iou[rows, best],
            relations.cosine[rows, best],
            shift,
            growth,
        )
    )
    mean, spread = _moments(values, best, members)
    return {
        "cluster_count": np.log1p(members).astype(np.float32),
        "cluster_score_sum": mean[:, 0] * members.astype(np.float32),
        "cluster_score_mean": mean[:, 0],
        "cluster_score_std": spread[:, 0],
        "cluster_iou_mean": mean[:, 1],
        "cluster_iou_std": spread[:, 1],
        "cluster_cosine_mean": mean[:, 2],
        "cluster_x_std": spread[:, 3],
        "cluster_y_std": spread[:, 4],
        "cluster_width_mean": mean[:, 5],
        "cluster_height_mean": mean[:, 6],
        "cluster_width_std": spread[:, 5],
        "cluster_height_std": spread[:, 6],
    }


def _moments(
    values: Float32Array, owner: npt.NDArray[np.intp], members: npt.NDArray[np.intp]
) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of (R, F) values over the rows of each owner; 0 without any."""
    one_hot = (owner[None, :] == np.arange(len(members))[:, None]).astype(np.float32)
    whole = np.maximum(members, 1)[:, None].astype(np.float32)
    mean = one_hot @ values / whole
    square = one_hot @ (values * values) / whole
    return mean, np.sqrt(np.maximum(square - mean * mean, 0))


def _sums(name: str, scores: Float32Array, chosen: BoolArray) -> dict[str, Float32Array]:
    weighted = chosen * scores[:, None]
    return {
        f"{name}_count": np.log1p(chosen.sum(axis=0)).astype(np.float32),
        f"{name}_score_sum": weighted.sum(axis=0),
        f"{name}_score_max": weighted.max(axis=0, initial=0),
    }


def _spread(cosine: Float32Array, chosen: BoolArray) -> Float32Array:
    """One minus the mean cosine over the chosen candidates; 0 without any."""
    distance: Float32Array = np.where(chosen, 1 - cosine, np.float32(0)).sum(axis=0)
    spread: Float32Array = distance / np.maximum(chosen.sum(axis=0, dtype=np.float32), 1)
    return spread


def _disjoint_pair(evidence: Evidence, relations: Relations, parts: BoolArray) -> Float32Array:
    """(N,): best pair of parts that hardly touch: lower score, times the share they cover."""
    count = len(evidence)
    out = np.zeros(count, np.float32)
    for k in np.flatnonzero(parts.sum(axis=0) >= 2):
        rows = np.flatnonzero(parts[:, k])[:MAX_CHILDREN]  # the pool is sorted by score
        boxes, scores = evidence.pool_boxes[rows], evidence.pool_scores[rows]
        apart = box_iou(boxes, boxes) < APART_IOU
        covers = relations.covers[rows, k]
        value = np.minimum(scores[:, None], scores) * np.minimum(1, covers[:, None] + covers)
        out[k] = (value * apart).max()
    return out
