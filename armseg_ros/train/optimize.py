# SPDX-License-Identifier: Apache-2.0
"""Device, precision, frozen layers and optimizer of a run."""

from __future__ import annotations

import cv2
import torch

from armseg_ros.backends.processor import computes_bf16_fast
from armseg_ros.errors import ConfigError
from armseg_ros.train.model import YoloV5Seg
from armseg_ros.train.muon import Muon
from armseg_ros.train.settings import TrainSettings


def open_device(settings: TrainSettings) -> torch.device:
    """Prepare the device.

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device is {settings.device!r}, but PyTorch finds no CUDA here; use cpu")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)  # the batch threads are the parallelism
    return torch.device(settings.device)


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether a run computes in bfloat16; ``auto`` where the hardware does."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return computes_bf16_fast()


def freeze(model: YoloV5Seg, layers: int) -> None:
    """Exclude the first layers from training."""
    for layer in model.model[:layers]:
        layer.requires_grad_(False)


def set_training(model: YoloV5Seg, frozen: int) -> None:
    """Switch to training mode, but leave the statistics of frozen layers alone."""
    model.train()
    for layer in model.model[:frozen]:
        layer.eval()


def make_optimizers(model: YoloV5Seg, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Make Muon for the convolutions and AdamW for output layers, batch norms and biases.

    Frozen weights are listed as well, which costs nothing, so that a resumed run may freeze others.
    """
    outputs = [layer.weight for layer in model.head.m]
    convolutions = [
        w for w in model.parameters() if w.ndim > 1 and all(w is not o for o in outputs)
    ]
    vectors = [w for w in model.parameters() if w.ndim <= 1]
    rate, decay = settings.learning_rate, settings.weight_decay
    groups = [
        {"params": outputs, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [
        Muon(convolutions, rate, momentum=0.95, weight_decay=decay),
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True),
    ]
