# SPDX-License-Identifier: Apache-2.0
"""Which anchors learn which object: reachable cells, then the task-aligned best of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from armseg_ros.train.model import STRIDES

ALIGNMENT_SCORE_POWER = 1.0
ALIGNMENT_IOU_POWER = 6.0
"""Exponents of the alignment metric of TOOD (Feng et al. 2021)."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Geometry of all A anchors, in the order of the decoder's rows.

    Attributes:
        cell: (A, 2) float32 column and row of the anchor's cell.
        stride: (A,) float32 network pixels per cell.
        anchor: (A, 2) float32 width and height in network pixels.
    """

    cell: Tensor
    stride: Tensor
    anchor: Tensor

    @classmethod
    def of(cls, shapes: list[tuple[int, int]], anchors: Tensor) -> Grid:
        """Build from the (height, width) of the levels and (3, 3, 2) anchors in cells."""
        cells, strides, sizes = [], [], []
        for (h, w), stride, level in zip(shapes, STRIDES, anchors.float(), strict=True):
            _, y, x = torch.meshgrid(
                *(torch.arange(n, device=anchors.device) for n in (3, h, w)), indexing="ij"
            )
            cells.append(torch.stack((x, y), -1).reshape(-1, 2).float())
            strides.append(torch.full((3 * h * w,), float(stride), device=anchors.device))
            sizes.append((level * stride).repeat_interleave(h * w, 0))
        return cls(torch.cat(cells), torch.cat(strides), torch.cat(sizes))

    def boxes(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Decode (n, 4) box logits of the given rows to centre x, centre y, width, height."""
        s = logits.sigmoid()
        centre = (s[:, :2] * 2 - 0.5 + self.cell[rows]) * self.stride[rows, None]
        return torch.cat((centre, (s[:, 2:4] * 2) ** 2 * self.anchor[rows]), 1)


def find_candidates(
    boxes: Tensor, shapes: list[tuple[int, int]], anchors: Tensor, max_ratio: float = 4.0
) -> tuple[Tensor, Tensor]:
    """List the anchors from which the decoder can reach each box.

    An anchor qualifies when its sides are within ``max_ratio`` of the box's (the decoder scales by
    at most 4), in the cell of the box centre and its two nearest neighbours (the decoder moves the
    centre by -0.5 to 1.5 cells).

    Args:
        boxes: (n, 4) centre x, centre y, width, height in network pixels.
        shapes: (height, width) in cells of the three levels.
        anchors: (3, 3, 2) in cells.
        max_ratio: Largest ratio of sides.

    Returns:
        Row indices into all anchors and the box index of each, both (m,) int64.
    """
    rows, owners, base = [], [], 0
    for (h, w), stride, level in zip(shapes, STRIDES, anchors.float(), strict=True):
        ratio = boxes[:, None, 2:4] / (level * stride)[None]
        fits = torch.maximum(ratio, 1 / ratio).amax(2) < max_ratio
        cells = _nearest_cells(boxes[:, :2] / stride)
        limit = torch.tensor((w, h), device=boxes.device)
        inside = ((cells >= 0) & (cells < limit)).all(2)
        owner, anchor, near = (fits[:, :, None] & inside[:, None, :]).nonzero(as_tuple=True)
        cell = cells[owner, near]
        rows.append(base + (anchor * h + cell[:, 1]) * w + cell[:, 0])
        owners.append(owner)
        base += 3 * h * w
    return torch.cat(rows), torch.cat(owners)


def _nearest_cells(centres: Tensor) -> Tensor:
    """Return (n, 3, 2) int64: the cell of each centre and its nearest neighbours in x and in y."""
    cell = centres.floor()
    side = torch.where(centres - cell < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(side[:, :1])
    in_x = torch.cat((side[:, :1], zero), 1)
    in_y = torch.cat((zero, side[:, 1:]), 1)
    offsets = torch.stack((torch.zeros_like(side), in_x, in_y), 1)
    return (cell[:, None] + offsets).long()


def complete_iou(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Compute IoU and complete IoU (Zheng et al. 2020) of (n, 4) cx, cy, w, h boxes, row by row."""
    low_p, high_p = predicted[:, :2] - predicted[:, 2:] / 2, predicted[:, :2] + predicted[:, 2:] / 2
    low_t, high_t = truth[:, :2] - truth[:, 2:] / 2, truth[:, :2] + truth[:, 2:] / 2
    shared = (torch.minimum(high_p, high_t) - torch.maximum(low_p, low_t)).clamp(min=0).prod(1)
    iou = shared / (predicted[:, 2:].prod(1) + truth[:, 2:].prod(1) - shared + 1e-7)
    hull = torch.maximum(high_p, high_t) - torch.minimum(low_p, low_t)
    distance = (predicted[:, :2] - truth[:, :2]).square().sum(1)
    distance = distance / (hull.square().sum(1) + 1e-7)
    angle_t = torch.atan(truth[:, 2] / truth[:, 3])
    angle_p = torch.atan(predicted[:, 2] / (predicted[:, 3] + 1e-7))
    shape = (4 / math.pi**2) * (angle_t - angle_p).square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou, iou - distance - weight * shape


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Positives among m candidates.

    Attributes:
        keep: (p,) int64 candidate indices that learn their object.
        target: (p,) float32 objectness target of each, 0..1.
        rank: (p,) int64 place of each among its object's positives, best first.
    """

    keep: Tensor
    target: Tensor
    rank: Tensor


@torch.no_grad()
def align(score: Tensor, iou: Tensor, owner: Tensor, anchor: Tensor, top: int) -> Assignment:
    """Keep the ``top`` candidates of every object by score * IoU^6 (task-aligned assignment).

    An anchor wanted by several objects goes to the one it fits best. The objectness target is the
    metric, scaled so that the best positive that an object is left with gets its best IoU: an
    object whose best anchors all go to a neighbour still learns, from the next best.

    Args:
        score: (m,) predicted objectness times class score, 0..1.
        iou: (m,) IoU of the predicted box with its object.
        owner: (m,) int64 object of the candidate.
        anchor: (m,) int64 anchor, unique over the batch.
        top: Candidates per object.

    Returns:
        The positives in the order of the candidates; none for m = 0.
    """
    iou = iou.clamp(min=0)
    # The tiny term ranks candidates by IoU while every score underflows.
    metric = score**ALIGNMENT_SCORE_POWER * iou**ALIGNMENT_IOU_POWER + 1e-12 * (1 + iou)
    count = int(owner.max()) + 1 if len(owner) else 0
    chosen = _rank_within(metric, owner, count) < top
    keys, slot = anchor.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    wanted = torch.where(chosen, iou, -1.0)
    winner = wanted.new_full((len(keys),), -1.0).scatter_reduce(0, slot, wanted, "amax")
    keep = (chosen & (iou >= winner[slot])).nonzero()[:, 0]
    metric, iou, owner = metric[keep], iou[keep], owner[keep]
    target = metric / (_largest(metric, owner, count) + 1e-12) * _largest(iou, owner, count)
    return Assignment(keep, target.clamp(0, 1), _rank_within(metric, owner, count))


def _largest(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Return for each of (p,) values >= 0 the largest one of its owner."""
    return values.new_zeros(count).scatter_reduce(0, owner, values, "amax")[owner]


def _rank_within(metric: Tensor, owner: Tensor, count: int) -> Tensor:
    """Return the place of every candidate among those of its owner, 0 for the largest metric."""
    order = metric.argsort(descending=True, stable=True)
    order = order[owner[order].argsort(stable=True)]
    first = torch.zeros(count + 1, dtype=torch.long, device=owner.device)
    first[1:] = torch.bincount(owner, minlength=count).cumsum(0)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=owner.device) - first[owner[order]]
    return rank
