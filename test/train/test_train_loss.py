# SPDX-License-Identifier: Apache-2.0
"""Assignment and loss on hand-made cases."""

import math

import pytest
import torch

from armseg_ros.errors import ConfigError
from armseg_ros.train.assign import Grid, align, complete_iou, find_candidates
from armseg_ros.train.loss import LossSettings, mask_terms, object_means, segmentation_loss
from armseg_ros.train.model import ANCHORS, STRIDES, HeadOutput, YoloV5Seg
from armseg_ros.train.pictures import IGNORE

ANCHOR_CELLS = torch.tensor(ANCHORS, dtype=torch.float32) / torch.tensor(STRIDES).view(3, 1, 1)
SHAPES = [(8, 8), (4, 4), (2, 2)]


@pytest.fixture(scope="module")
def head():
    return YoloV5Seg(2).head


def blank_output(batch: int = 1) -> HeadOutput:
    levels = [torch.zeros(batch, 3, h, w, 39, requires_grad=True) for h, w in SHAPES]
    prototypes = torch.zeros(batch, 32, 16, 16, requires_grad=True)
    return HeadOutput(levels, prototypes, torch.zeros(batch, 896))


def test_candidates_are_the_cell_and_its_two_nearest_neighbours():
    # At (20, 44) the centre is cell (2.5, 5.5) of level 0: the next cells are right and below.
    rows, owner = find_candidates(torch.tensor([[20.0, 44.0, 16.0, 30.0]]), SHAPES, ANCHOR_CELLS)
    grid = Grid.of(SHAPES, ANCHOR_CELLS)
    fine = grid.stride[rows] == 8
    cells = {tuple(cell) for cell in grid.cell[rows][fine].long().tolist()}
    assert cells == {(2, 5), (3, 5), (2, 6)}
    assert owner.unique().tolist() == [0]
    ratio = torch.tensor([16.0, 30.0]) / grid.anchor[rows]
    assert float(torch.maximum(ratio, 1 / ratio).max()) < 4


def test_candidates_at_a_corner_stay_inside_the_grid():
    boxes = torch.tensor([[1.0, 1.0, 12.0, 12.0], [63.0, 63.0, 12.0, 12.0]])
    rows, _ = find_candidates(boxes, SHAPES, ANCHOR_CELLS)
    assert int(rows.min()) >= 0
    assert int(rows.max()) < 3 * sum(h * w for h, w in SHAPES)


def test_no_box_gives_no_candidate():
    rows, owner = find_candidates(torch.zeros(0, 4), SHAPES, ANCHOR_CELLS)
    assert len(rows) == len(owner) == 0


def test_every_candidate_can_decode_its_box_exactly():
    boxes = torch.tensor([[21.3, 43.1, 16.0, 30.0], [33.7, 29.9, 50.0, 40.0]])
    rows, owner = find_candidates(boxes, SHAPES, ANCHOR_CELLS)
    grid = Grid.of(SHAPES, ANCHOR_CELLS)
    centre = (boxes[owner, :2] / grid.stride[rows, None] - grid.cell[rows] + 0.5) / 2
    size = (boxes[owner, 2:] / grid.anchor[rows]).sqrt() / 2
    logits = torch.logit(torch.cat((centre, size), 1).double()).float()
    assert torch.isfinite(logits).all()
    assert torch.allclose(grid.boxes(rows, logits), boxes[owner], atol=1e-3)


def test_complete_iou_by_hand():
    truth = torch.tensor([[10.0, 10.0, 4.0, 4.0]] * 2)
    found = torch.tensor([[10.0, 10.0, 4.0, 4.0], [12.0, 10.0, 4.0, 4.0]])
    iou, ciou = complete_iou(found, truth)
    assert iou.tolist() == pytest.approx([1.0, 8 / 24], abs=1e-5)
    # Same shape: only the centre distance 2 against the hull's diagonal (6, 4) is taken off.
    assert ciou.tolist() == pytest.approx([1.0, 8 / 24 - 4 / 52], abs=1e-5)


def test_complete_iou_of_another_shape_by_hand():
    truth, found = torch.tensor([[10.0, 10.0, 4.0, 4.0]]), torch.tensor([[10.0, 10.0, 8.0, 2.0]])
    iou, ciou = complete_iou(found, truth)
    shape = 4 / math.pi**2 * (math.atan(1) - math.atan(4)) ** 2
    assert float(iou) == pytest.approx(8 / 24, abs=1e-5)
    assert float(ciou) == pytest.approx(8 / 24 - shape**2 / (1 - 8 / 24 + shape), abs=1e-5)


def test_alignment_keeps_the_best_and_scales_the_target_to_the_best_iou():
    score = torch.tensor([0.5, 0.5, 0.5, 0.9])
    iou = torch.tensor([0.8, 0.4, 0.6, 0.5])
    owner = torch.tensor([0, 0, 0, 1])
    found = align(score, iou, owner, torch.tensor([3, 4, 5, 6]), top=2)
    assert found.keep.tolist() == [0, 2, 3]
    assert found.rank.tolist() == [0, 1, 0]
    expected = [0.8, 0.8 * (0.6 / 0.8) ** 6, 0.5]
    assert found.target.tolist() == pytest.approx(expected, rel=1e-4)


def test_an_anchor_wanted_twice_goes_to_the_better_fit():
    owner = torch.tensor([0, 1])
    found = align(torch.ones(2), torch.tensor([0.3, 0.7]), owner, torch.tensor([9, 9]), top=5)
    assert found.keep.tolist() == [1]


def test_an_object_that_loses_its_best_anchors_learns_from_what_it_keeps():
    # Object 0 wants anchors 1, 2, 3; the first two fit object 1 better.
    iou = torch.tensor([0.8, 0.7, 0.5, 0.9, 0.85])
    owner, anchor = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([1, 2, 3, 1, 2])
    found = align(torch.ones(5), iou, owner, anchor, top=3)
    assert found.keep.tolist() == [2, 3, 4]
    assert found.rank.tolist() == [0, 0, 1]
    expected = [0.5, 0.9, 0.9 * (0.85 / 0.9) ** 6]
    assert found.target.tolist() == pytest.approx(expected, rel=1e-4)


def test_no_candidate_gives_no_positive():
    none = torch.zeros(0, dtype=torch.long)
    found = align(torch.zeros(0), torch.zeros(0), none, none, top=3)
    assert len(found.keep) == len(found.target) == len(found.rank) == 0


def test_mask_terms_of_a_known_logit():
    # One positive, box of the whole 4x4 prototype, left half set, logit +4 left and -4 right.
    prototypes = torch.zeros(1, 32, 4, 4)
    prototypes[0, 0, :, :2], prototypes[0, 0, :, 2:] = 4.0, -4.0
    coefficients = torch.zeros(1, 32)
    coefficients[0, 0] = 1.0
    labels = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    labels[0, 0, :, :2] = 7
    targets = torch.tensor([[0, 0, 8.0, 8.0, 16.0, 16.0, 0, 7]])
    cross, dice, iou = mask_terms(coefficients, targets, prototypes, labels)
    assert iou.tolist() == [1.0]
    assert float(cross) == pytest.approx(math.log1p(math.exp(-4)), rel=1e-5)
    on, off = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(4))
    wanted = 1 - (2 * 8 * on + 1) / (8 * on + 8 * off + 8 + 1)
    assert float(dice) == pytest.approx(wanted, rel=1e-5)


def test_mask_terms_look_only_inside_the_box_and_at_their_own_layer():
    torch.manual_seed(0)
    prototypes = torch.randn(2, 32, 8, 8)
    labels = torch.zeros(2, 2, 8, 8, dtype=torch.uint8)
    labels[1, 1, 2:4, 2:4] = 3
    targets = torch.tensor([[1, 0, 12.0, 12.0, 8.0, 8.0, 1, 3]])
    coefficients = torch.randn(1, 32)
    before = mask_terms(coefficients, targets, prototypes, labels)
    prototypes[1, :, 5:, :] = 99.0
    prototypes[0] = 99.0
    labels[1, 0] = 3
    after = mask_terms(coefficients, targets, prototypes, labels)
    assert [float(v) for v in before] == pytest.approx([float(v) for v in after])


def test_mask_iou_of_a_mask_that_is_half_right():
    prototypes = torch.ones(1, 32, 4, 4)
    labels = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    labels[0, 0, :, :2] = 7
    targets = torch.tensor([[0, 0, 8.0, 8.0, 16.0, 16.0, 0, 7]] * 2)
    coefficients = torch.stack((torch.ones(32), -torch.ones(32)))  # everything; nothing
    assert mask_terms(coefficients, targets, prototypes, labels).iou.tolist() == [0.5, 0.0]


def test_object_means_leave_objects_without_positives_at_0():
    means = object_means(torch.tensor([0.2, 0.4, 0.9]), torch.tensor([0, 0, 2]), 3)
    assert means.tolist() == pytest.approx([0.3, 0.0, 0.9])


def test_mask_terms_of_several_pictures_equal_one_at_a_time():
    torch.manual_seed(1)
    prototypes = torch.randn(3, 32, 8, 8)
    labels = torch.randint(0, 4, (3, 1, 8, 8), dtype=torch.uint8)
    rows = [[p, 0, 16.0, 16.0, 24.0, 20.0, 0, k] for p, k in ((2, 1), (0, 2), (2, 3), (0, 1))]
    targets, coefficients = torch.tensor(rows), torch.randn(4, 32)
    together = mask_terms(coefficients, targets, prototypes, labels)
    single = [
        mask_terms(coefficients[i : i + 1], targets[i : i + 1], prototypes, labels)
        for i in range(4)
    ]
    for k in range(2):
        assert float(together[k]) == pytest.approx(sum(float(s[k]) for s in single) / 4, rel=1e-5)


def test_loss_without_objects_is_the_objectness_alone(head):
    labels = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    total, terms = segmentation_loss(
        blank_output(), head, (torch.zeros(0, 8), labels), LossSettings()
    )
    count = 3 * sum(h * w for h, w in SHAPES)
    assert terms["objectness"] == pytest.approx(count * math.log(2), rel=1e-5)
    assert float(total.detach()) == pytest.approx(terms["objectness"], rel=1e-6)
    assert [terms[k] for k in ("box", "class", "mask", "dice")] == [0, 0, 0, 0]


def test_objectness_target_is_the_root_of_alignment_times_mask_iou(head):
    # One anchor fits a box exactly and its mask, everything, is half right: the root of 1 * 0.5.
    output = blank_output()
    box = torch.tensor([44.0, 36.0, 30.0, 61.0])  # the first anchor of level 1, cell (2, 2)
    with torch.no_grad():
        for level in output.levels:
            level[..., 4:6] = -20.0
        output.levels[1][0, 0, 2, 2, 0] = math.log(0.625 / 0.375)  # 44 = (2 * 0.625 - 0.5 + 2) * 16
        output.levels[1][0, 0, 2, 2, 1] = math.log(0.375 / 0.625)  # 36 = (2 * 0.375 - 0.5 + 2) * 16
        output.levels[1][0, 0, 2, 2, 4:6] = 20.0
        output.levels[1][0, 0, 2, 2, 7:] = 1.0
        output.prototypes.fill_(1.0)
    labels = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    # Prototype pixels of the box: columns 7 to 14, rows 1 to 15; the left half is the object.
    labels[0, 0, :, 7:11] = 1
    targets = torch.tensor([[0, 0, *box.tolist(), 0, 1]])
    total, _ = segmentation_loss(output, head, (targets, labels), LossSettings(top=1))
    total.backward()
    gradient = output.levels[1].grad
    assert gradient is not None
    # d objectness / d logit = (sigmoid(logit) - target) / max(sum of targets, 1)
    assert float(gradient[0, 0, 2, 2, 4]) == pytest.approx(1 - math.sqrt(0.5), abs=1e-3)


def test_ignored_pixels_are_not_background(head):
    labels = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    labels[0, 0, :, :8] = IGNORE  # the left half
    _, terms = segmentation_loss(blank_output(), head, (torch.zeros(0, 8), labels), LossSettings())
    count = 3 * sum(h * w for h, w in SHAPES) / 2
    assert terms["objectness"] == pytest.approx(count * math.log(2), rel=1e-5)


def test_loss_reaches_every_output(head):
    output = blank_output(2)
    for tensor in (*output.levels, output.prototypes):
        torch.nn.init.normal_(tensor, std=0.1)
    labels = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    labels[0, 0, 2:9, 3:12] = 1
    targets = torch.tensor([[0, 1, 30.0, 22.0, 36.0, 28.0, 0, 1]])
    total, terms = segmentation_loss(output, head, (targets, labels), LossSettings())
    total.backward()
    assert all(value > 0 for value in terms.values())
    for tensor in (*output.levels, output.prototypes):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"loss\.top is 0"):
        LossSettings(top=0)
