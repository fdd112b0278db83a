# SPDX-License-Identifier: Apache-2.0
"""The network: tensor names of official checkpoints, the folded convolution, box decoding."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from armseg_ros.train.layers import Prototypes, fuse_batch_norm, upsampled_conv3x3
from armseg_ros.train.model import ANCHORS, STRIDES, YoloV5Seg

GOLDEN = Path(__file__).parent / "yolov5s_seg_state_dict.txt"


@pytest.fixture(scope="module")
def model() -> YoloV5Seg:
    torch.manual_seed(0)
    return YoloV5Seg(2).eval()


def read_golden() -> dict[str, tuple[tuple[int, ...], str]]:
    listing = {}
    for line in GOLDEN.read_text().splitlines():
        name, rest = line.split(" ", 1)
        shape, dtype = rest.rsplit(" ", 1)
        listing[name] = (tuple(int(n) for n in shape.strip("[]").split(",") if n), dtype)
    return listing


def test_names_shapes_and_order_are_those_of_official_checkpoints(model):
    own = {k: (tuple(v.shape), str(v.dtype)) for k, v in model.state_dict().items()}
    assert len(own) == 367
    assert own == read_golden()
    assert list(own) == list(read_golden())


def test_another_number_of_classes_changes_the_prediction_layers_alone():
    shapes = [{k: v.shape for k, v in YoloV5Seg(n).state_dict().items()} for n in (2, 80)]
    differing = {name for name in shapes[0] if shapes[0][name] != shapes[1][name]}
    assert differing == {f"model.24.m.{i}.{part}" for i in range(3) for part in ("weight", "bias")}


@pytest.mark.parametrize("hw", [(4, 5), (1, 3)])
def test_folded_convolution_equals_upsampling_then_convolving(hw):
    torch.manual_seed(1)
    x = torch.randn(2, 6, *hw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, padding=1)
    folded = upsampled_conv3x3(x, weight)
    assert torch.allclose(folded, plain, atol=1e-12)
    slope = torch.randn_like(plain)
    for ours, theirs in zip(
        torch.autograd.grad((folded * slope).sum(), (x, weight)),
        torch.autograd.grad((plain * slope).sum(), (x, weight)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-11)


def test_prototypes_are_the_same_in_training_and_in_evaluation():
    torch.manual_seed(2)
    layer = Prototypes(8, 8, 4)
    x = torch.randn(2, 8, 3, 4)
    layer.train()
    for block in (layer.cv1, layer.cv2, layer.cv3):
        block.bn.eval()  # the same statistics in both
    in_training = layer(x)
    assert torch.allclose(in_training, layer.eval()(x), atol=1e-6)


def test_rows_of_a_blank_head_are_the_anchors_at_their_cells(model):
    height, width = 64, 96
    levels = [torch.zeros(1, 3, height // s, width // s, 39) for s in STRIDES]
    rows = model.head.decode(levels)
    assert rows.shape == (1, 3 * (8 * 12 + 4 * 6 + 2 * 3), 39)
    # Level 1 (stride 16), anchor 2, row 3, column 4: logit 0 is the cell's centre and the anchor.
    index = 3 * 8 * 12 + (2 * 4 + 3) * 6 + 4
    wanted = [4.5 * 16, 3.5 * 16, *ANCHORS[1][2], 0.5, 0.5, 0.5]
    assert rows[0, index, :7].tolist() == pytest.approx(wanted)


def test_folding_batch_norm_keeps_the_answer():
    torch.manual_seed(3)
    network = YoloV5Seg(2).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network.predict(x)
        after = fuse_batch_norm(network).predict(x)
    for a, b in zip(before, after, strict=True):
        assert torch.allclose(a, b, atol=2e-3, rtol=1e-4)
    assert len(network.state_dict()) < 367


def test_features_are_the_pooled_neck_levels(model):
    with torch.no_grad():
        output = model(torch.rand(2, 3, 64, 64))
    assert output.features.shape == (2, 128 + 256 + 512)
    assert output.prototypes.shape == (2, 32, 16, 16)
