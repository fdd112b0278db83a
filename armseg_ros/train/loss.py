# SPDX-License-Identifier: Apache-2.0
"""Training loss: box, objectness, class and mask terms over task-aligned positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from armseg_ros.config import require_range
from armseg_ros.train.assign import Grid, align, complete_iou, find_candidates
from armseg_ros.train.model import MASK_COEFFICIENTS, PROTOTYPE_STRIDE, HeadOutput, SegmentHead
from armseg_ros.train.pictures import IGNORE

TERMS = ("box", "objectness", "class", "mask", "dice")
TARGET_FLOOR = 0.1
"""Added to the weight of every positive, so that badly fitting ones learn as well."""


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights and limits.

    Attributes:
        box: Weight of 1 - complete IoU.
        objectness: Weight of the objectness cross-entropy.
        class_: Weight of the class cross-entropy.
        mask: Weight of the mask cross-entropy inside the true box.
        dice: Weight of the mask Dice term.
        top: Positives per object, 1..50.
        mask_top: Positives per object that also learn the mask, 1..50.
    """

    box: float = 5.0
    objectness: float = 1.0
    class_: float = 0.5
    mask: float = 6.0
    dice: float = 2.0
    top: int = 10
    mask_top: int = 6

    def __post_init__(self) -> None:
        for key in ("box", "objectness", "class_", "mask", "dice"):
            require_range(f"loss.{key}", getattr(self, key), 0.0, 1000.0)
        require_range("loss.top", self.top, 1, 50)
        require_range("loss.mask_top", self.mask_top, 1, 50)


def segmentation_loss(
    output: HeadOutput, head: SegmentHead, truth: tuple[Tensor, Tensor], settings: LossSettings
) -> tuple[Tensor, dict[str, float]]:
    """Compute the loss of one batch in float32.

    Args:
        output: Network output for B pictures.
        head: The head that made it (anchors, number of classes).
        truth: (n, 8) float32 targets and (B, L, H / 4, W / 4) labels, as in ``Batch``. No target
            gives the objectness term alone.
        settings: Weights.

    Returns:
        The weighted sum, to be differentiated, and the terms by name (see TERMS) before weighting.
    """
    targets, labels = truth
    flat = _Flat.of(output, head)
    wanted = torch.zeros(flat.logits.shape[:2], device=flat.logits.device)
    zero = flat.logits.sum() * 0
    terms = dict.fromkeys(TERMS, zero)
    if len(targets):
        terms |= _positive_terms(flat, targets, labels, wanted, settings)
    terms["objectness"] = _objectness(flat.logits[..., 4], wanted, labels, flat.shapes)
    total = zero
    for name, value in terms.items():
        total = total + value * getattr(settings, "class_" if name == "class" else name)
    return total, {name: float(value.detach()) for name, value in terms.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Flat:
    """Network output in float32 with all A anchors in one row, and their geometry."""

    logits: Tensor  # (B, A, 5 + C + 32)
    prototypes: Tensor  # (B, 32, H / 4, W / 4)
    anchors: Tensor  # (3, 3, 2) in cells
    shapes: list[tuple[int, int]]  # height and width in cells of the three levels

    @classmethod
    def of(cls, output: HeadOutput, head: SegmentHead) -> _Flat:
        batch = len(output.prototypes)
        rows = [level.reshape(batch, -1, head.row_length) for level in output.levels]
        shapes = [(level.shape[2], level.shape[3]) for level in output.levels]
        return cls(torch.cat(rows, 1).float(), output.prototypes.float(), head.anchors, shapes)


def _positive_terms(
    flat: _Flat, targets: Tensor, labels: Tensor, wanted: Tensor, settings: LossSettings
) -> dict[str, Tensor]:
    """Assign anchors, write their objectness targets into ``wanted``, return the other terms.

    The target is the geometric mean of the alignment's, which knows the box alone, and of the mask
    IoU that the object's positives reach: what ranks high should be good as a mask (mask scoring,
    Huang et al. 2019, without a layer of its own).
    """
    classes = flat.logits.shape[2] - 5 - MASK_COEFFICIENTS
    rows, owner = find_candidates(targets[:, 2:6], flat.shapes, flat.anchors)
    picture, class_of = targets[owner, 0].long(), targets[owner, 1].long()
    chosen = flat.logits[picture, rows]
    boxes = Grid.of(flat.shapes, flat.anchors).boxes(rows, chosen[:, :4])
    iou, ciou = complete_iou(boxes, targets[owner, 2:6])
    anchor = picture * flat.logits.shape[1] + rows
    score = _score(chosen, class_of, classes)
    found = align(score, iou.detach(), owner, anchor, settings.top)
    k, m = found.keep, found.keep[found.rank < settings.mask_top]
    weight = found.target + TARGET_FLOOR
    weight = weight / weight.sum().clamp(min=1)
    one_hot = F.one_hot(class_of[k], classes).float()
    class_logits = chosen[k, 5 : 5 + classes]
    entropy = F.binary_cross_entropy_with_logits(class_logits, one_hot, reduction="none")
    coefficients = chosen[m, 5 + classes :]
    masks = mask_terms(coefficients, targets[owner[m]], flat.prototypes, labels)
    fit = object_means(masks.iou, owner[m], len(targets))
    wanted[picture[k], rows[k]] = (found.target * fit[owner[k]]).sqrt()
    return {
        "box": ((1 - ciou[k]) * weight).sum(),
        "class": (entropy.sum(1) * weight).sum(),
        "mask": masks.cross,
        "dice": masks.dice,
    }


def object_means(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Average (p,) values over the positives of each of ``count`` objects; 0 without positives."""
    sums = values.new_zeros(count).index_add(0, owner, values)
    return sums / torch.bincount(owner, minlength=count).clamp(min=1)


def _score(chosen: Tensor, class_of: Tensor, classes: int) -> Tensor:
    with torch.no_grad():
        in_class = chosen[:, 5 : 5 + classes].gather(1, class_of[:, None])[:, 0]
        return chosen[:, 4].sigmoid() * in_class.sigmoid()


def _objectness(
    logits: Tensor, wanted: Tensor, labels: Tensor, shapes: list[tuple[int, int]]
) -> Tensor:
    """Cross-entropy over all anchors per unit of target; background in ignored cells is free."""
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    ignored = (labels == IGNORE).any(1)
    if bool(ignored.any()):
        per_level = [
            F.interpolate(ignored[:, None].float(), shape, mode="nearest").flatten(1).repeat(1, 3)
            for shape in shapes
        ]
        entropy = entropy * ((torch.cat(per_level, 1) < 0.5) | (wanted > 0))
    return entropy.sum() / wanted.sum().clamp(min=1)


class MaskTerms(NamedTuple):
    """What the masks of p positives are like.

    Attributes:
        cross: Cross-entropy inside the true box divided by the box's area, averaged; 0 for p = 0.
        dice: 1 - Dice inside the true box, averaged; 0 for p = 0.
        iou: (p,) IoU inside the true box of the mask above 0, 0..1, without gradient.
    """

    cross: Tensor
    dice: Tensor
    iou: Tensor


def mask_terms(
    coefficients: Tensor, targets: Tensor, prototypes: Tensor, labels: Tensor
) -> MaskTerms:
    """Compare the masks of p positives with their objects.

    Args:
        coefficients: (p, 32).
        targets: (p, 8) row of each positive's object.
        prototypes: (B, 32, h, w).
        labels: (B, L, h, w) uint8.
    """
    count = len(coefficients)
    if count == 0:
        zero = prototypes.sum() * 0
        return MaskTerms(zero, zero, prototypes.new_zeros(0))
    picture, layer, key = targets[:, 0].long(), targets[:, 6].long(), targets[:, 7]
    logits = _mask_logits(coefficients, picture, prototypes)
    truth = (labels[picture, layer] == key.to(labels.dtype)[:, None, None]).float()
    in_y = _inside(targets[:, 3], targets[:, 5], logits.shape[1])
    in_x = _inside(targets[:, 2], targets[:, 4], logits.shape[2])
    area = (in_y.sum(1) * in_x.sum(1)).clamp(min=1)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    cross = _box_sum(entropy, in_y, in_x) / area
    shown = logits.sigmoid()
    shared = _box_sum(shown * truth, in_y, in_x)
    sizes = _box_sum(shown + truth, in_y, in_x)
    dice = 1 - (2 * shared + 1) / (sizes + 1)
    with torch.no_grad():
        drawn = (logits > 0).float()
        both = _box_sum(drawn * truth, in_y, in_x)
        iou = both / (_box_sum(drawn + truth, in_y, in_x) - both).clamp(min=1)
    return MaskTerms(cross.sum() / count, dice.sum() / count, iou)


def _box_sum(values: Tensor, in_y: Tensor, in_x: Tensor) -> Tensor:
    """Sum (p, h, w) values over the boxes given as (p, h) and (p, w) indicators."""
    by_row = torch.bmm(values, in_x[:, :, None])[:, :, 0]
    return (by_row * in_y).sum(1)


def _inside(centre: Tensor, size: Tensor, length: int) -> Tensor:
    """Mark the prototype pixels of one axis that touch a span given in network pixels."""
    middle = torch.arange(length, device=centre.device) + 0.5
    distance = (middle - centre[:, None] / PROTOTYPE_STRIDE).abs()
    return (distance <= size[:, None] / PROTOTYPE_STRIDE / 2 + 0.5).float()


def _mask_logits(coefficients: Tensor, picture: Tensor, prototypes: Tensor) -> Tensor:
    """Return (p, h, w) mask logits with one matrix product per batch."""
    batch, _, h, w = prototypes.shape
    counts = torch.bincount(picture, minlength=batch)
    order = picture.argsort(stable=True)
    slot = torch.empty_like(order)
    starts = counts.cumsum(0) - counts
    slot[order] = torch.arange(len(order), device=order.device) - starts[picture[order]]
    padded = coefficients.new_zeros(batch, int(counts.max()), MASK_COEFFICIENTS)
    padded = padded.index_put((picture, slot), coefficients)
    logits = torch.bmm(padded, prototypes.reshape(batch, MASK_COEFFICIENTS, -1))
    return logits[picture, slot].view(-1, h, w)
