# SPDX-License-Identifier: Apache-2.0
"""YOLOv5s-seg in PyTorch, with the tensor names and shapes of the official checkpoints.

Written from the published architecture (CSP blocks, fast spatial pyramid pooling, path
aggregation, YOLACT prototype masks) and from a list of tensor names, so that official state dicts
load as they are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armseg_ros.train.layers import ConvBlock, CspBlock, Prototypes, PyramidPooling

STRIDES = (8, 16, 32)
"""Network pixels per cell of the three detection levels."""
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""Width and height in network pixels of the three anchors of every level (the official ones)."""
MASK_COEFFICIENTS = 32
PROTOTYPE_STRIDE = 4
INITIAL_OBJECTNESS_BIAS = -4.6
"""Logit of 1 %: positives are rare, so the first steps are not spent on unlearning false alarms."""


class HeadOutput(NamedTuple):
    """What the network computes before decoding.

    Attributes:
        levels: one (B, 3, h, w, 5 + C + 32) tensor of logits per stride.
        prototypes: (B, 32, H / 4, W / 4) mask prototypes.
        features: (B, D) globally averaged neck features of the three levels, concatenated.
    """

    levels: list[Tensor]
    prototypes: Tensor
    features: Tensor


class SegmentHead(nn.Module):
    """Per-anchor logits of three levels and the mask prototypes.

    Attributes:
        anchors: (3 levels, 3 anchors, 2) width and height in cells of the level.
    """

    anchors: Tensor

    def __init__(self, num_classes: int, channels: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.row_length = 5 + num_classes + MASK_COEFFICIENTS
        strides = torch.tensor(STRIDES, dtype=torch.float32).view(3, 1, 1)
        self.register_buffer("anchors", torch.tensor(ANCHORS, dtype=torch.float32) / strides)
        self.m = nn.ModuleList(nn.Conv2d(c, self.row_length * 3, 1) for c in channels)
        self.proto = Prototypes(channels[0], hidden, MASK_COEFFICIENTS)
        self.reset()

    def reset(self) -> None:
        """Initialise the three prediction layers: rare positives, boxes equal to the anchors."""
        for layer in self.m:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.01)
            bias = torch.zeros(3, self.row_length)
            bias[:, 4] = INITIAL_OBJECTNESS_BIAS
            bias[:, 5 + self.num_classes :] = torch.randn(3, MASK_COEFFICIENTS) * 0.1
            layer.bias.data = bias.view(-1)

    def forward(self, neck: list[Tensor]) -> HeadOutput:
        """Return logits, prototypes and pooled features; neck: finest level first."""
        levels = []
        for layer, x in zip(self.m, neck, strict=True):
            b, _, h, w = x.shape
            y = layer(x).view(b, 3, self.row_length, h, w)
            levels.append(y.permute(0, 1, 3, 4, 2))
        features = torch.cat([x.mean((2, 3)) for x in neck], 1)
        return HeadOutput(levels, self.proto(neck[0]), features)

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Turn logits into rows.

        Args:
            levels: as in HeadOutput, float32.

        Returns:
            (B, A, 5 + C + 32): cx, cy, w, h in network pixels, objectness and class scores 0..1,
            raw mask coefficients. Level by level, anchor by anchor, then y, then x.
        """
        rows = []
        for logits, anchors, stride in zip(levels, self.anchors.float(), STRIDES, strict=True):
            b, _, h, w, _ = logits.shape
            ys = torch.arange(h, device=logits.device, dtype=logits.dtype)
            xs = torch.arange(w, device=logits.device, dtype=logits.dtype)
            grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
            scores = logits[..., : 5 + self.num_classes].sigmoid()
            centre = (scores[..., 0:2] * 2 - 0.5 + grid) * stride
            size = (scores[..., 2:4] * 2) ** 2 * (anchors * stride).view(1, 3, 1, 1, 2)
            parts = (centre, size, scores[..., 4:], logits[..., 5 + self.num_classes :])
            rows.append(torch.cat(parts, -1).reshape(b, -1, self.row_length))
        return torch.cat(rows, 1)


def _scaled(channels: int, width: float) -> int:
    return math.ceil(channels * width / 8) * 8


def _repeats(depth: int, multiple: float) -> int:
    return max(round(depth * multiple), 1)


class YoloV5Seg(nn.Module):
    """YOLOv5-seg; the default multiples give the "s" model.

    Args:
        num_classes: number of classes C.
        width: channel multiple.
        depth: bottleneck-count multiple.
    """

    def __init__(self, num_classes: int = 2, width: float = 0.5, depth: float = 0.33) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (_scaled(c, width) for c in (64, 128, 256, 512, 1024))
        d3, d6, d9 = (_repeats(n, depth) for n in (3, 6, 9))
        # Layers without weights (up-sampling, concatenation) hold a place: names carry the index.
        place = nn.Identity
        backbone = [
            *(ConvBlock(3, c1, 6, 2, 2), ConvBlock(c1, c2, 3, 2), CspBlock(c2, c2, d3)),
            *(ConvBlock(c2, c3, 3, 2), CspBlock(c3, c3, d6)),
            *(ConvBlock(c3, c4, 3, 2), CspBlock(c4, c4, d9)),
            *(ConvBlock(c4, c5, 3, 2), CspBlock(c5, c5, d3), PyramidPooling(c5, c5)),
        ]
        neck = [
            *(ConvBlock(c5, c4), place(), place(), CspBlock(c5, c4, d3, False)),
            *(ConvBlock(c4, c3), place(), place(), CspBlock(c4, c3, d3, False)),
            *(ConvBlock(c3, c3, 3, 2), place(), CspBlock(c4, c4, d3, False)),
            *(ConvBlock(c4, c4, 3, 2), place(), CspBlock(c5, c5, d3, False)),
        ]
        head = SegmentHead(num_classes, (c3, c4, c5), _scaled(256, width))
        self.model = nn.ModuleList([*backbone, *neck, head])

    @property
    def head(self) -> SegmentHead:
        """The detection and prototype head (layer 24)."""
        head = self.model[24]
        assert isinstance(head, SegmentHead)
        return head

    def forward(self, x: Tensor) -> HeadOutput:
        """Run the network; x (B, 3, H, W) RGB 0..1, H and W multiples of 32."""
        m = self.model
        x = m[2](m[1](m[0](x)))
        p3 = m[4](m[3](x))
        p4 = m[6](m[5](p3))
        top5 = m[10](m[9](m[8](m[7](p4))))
        top4 = m[14](m[13](torch.cat((_double(top5), p4), 1)))
        n3 = m[17](torch.cat((_double(top4), p3), 1))
        n4 = m[20](torch.cat((m[18](n3), top4), 1))
        n5 = m[23](torch.cat((m[21](n4), top5), 1))
        out: HeadOutput = m[24]([n3, n4, n5])
        return out

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows (B, A, 5 + C + 32), prototypes and features, all float32 (see decode)."""
        out = self(x)
        rows = self.head.decode([level.float() for level in out.levels])
        return rows, out.prototypes.float(), out.features.float()


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
