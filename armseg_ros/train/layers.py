# SPDX-License-Identifier: Apache-2.0
"""Building blocks of YOLOv5-seg; attribute names are those of the official tensor names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, pad: int | None = None
    ) -> None:
        super().__init__()
        pad = kernel // 2 if pad is None else pad
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        """Return activations; x (B, inputs, h, w)."""
        return F.silu(self.bn(self.conv(x)), inplace=True)


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, with an optional shortcut."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = ConvBlock(channels, channels)
        self.cv2 = ConvBlock(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return activations of the shape of x."""
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class CspBlock(nn.Module):
    """Cross-stage partial block: one half through bottlenecks, one half past them."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.cv1 = ConvBlock(inputs, half)
        self.cv2 = ConvBlock(inputs, half)
        self.cv3 = ConvBlock(outputs, outputs)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w)."""
        joined = torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1)
        out: Tensor = self.cv3(joined)
        return out


class PyramidPooling(nn.Module):
    """Three chained 5x5 max pools, concatenated (SPPF)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.cv1 = ConvBlock(inputs, inputs // 2)
        self.cv2 = ConvBlock(inputs * 2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w)."""
        pooled: list[Tensor] = [self.cv1(x)]
        for _ in range(3):
            pooled.append(F.max_pool2d(pooled[-1], 5, 1, 2))
        out: Tensor = self.cv2(torch.cat(pooled, 1))
        return out


class Prototypes(nn.Module):
    """Mask prototypes at a quarter of the input size, from the finest neck level."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.cv1 = ConvBlock(inputs, hidden, 3)
        self.cv2 = ConvBlock(hidden, hidden, 3)
        self.cv3 = ConvBlock(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, 2 h, 2 w)."""
        x = self.cv1(x)
        if self.training and x.device.type == "cpu":
            x = F.silu(self.cv2.bn(upsampled_conv3x3(x, self.cv2.conv.weight)), inplace=True)
        else:
            x = self.cv2(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.cv3(x)
        return out


def upsampled_conv3x3(x: Tensor, weight: Tensor) -> Tensor:
    """Compute conv3x3(nearest 2x upsampling of x) with 4/9 of the multiplications.

    Each output pixel of a 2x2 group sees only a 2x2 window of x, so the 3x3 kernel folds into four
    2x2 kernels, one per position in the group. Exact, zero padding included. On CPUs this is the
    dearest layer of a training step.

    Args:
        x: (B, inputs, h, w).
        weight: (outputs, inputs, 3, 3).

    Returns:
        (B, outputs, 2 h, 2 w).
    """
    fold = x.new_zeros(2, 2, 3, dtype=weight.dtype)  # position in the group, tap, kernel row
    fold[0, 0, 0] = fold[0, 1, 1] = fold[0, 1, 2] = 1
    fold[1, 0, 0] = fold[1, 0, 1] = fold[1, 1, 2] = 1
    kernels = torch.einsum("pak,qbl,oikl->pqoiab", fold, fold, weight)
    rows = []
    for p in (0, 1):
        columns = []
        for q in (0, 1):
            kernel = kernels[p, q].contiguous(memory_format=torch.channels_last)
            columns.append(F.conv2d(F.pad(x, (1 - q, q, 1 - p, p)), kernel).permute(0, 2, 3, 1))
        rows.append(torch.stack(columns, 3))
    b, _, h, w = x.shape
    return torch.stack(rows, 2).reshape(b, 2 * h, 2 * w, len(weight)).permute(0, 3, 1, 2)


def fuse_batch_norm(model: nn.Module) -> nn.Module:
    """Fold every batch norm into its convolution, in place, for inference; return the model."""
    with torch.no_grad():
        for block in model.modules():
            if isinstance(block, ConvBlock) and isinstance(block.bn, nn.BatchNorm2d):
                block.conv = nn.utils.fuse_conv_bn_eval(block.conv.eval(), block.bn.eval())
                block.bn = nn.Identity()
    return model
