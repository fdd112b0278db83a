# SPDX-License-Identifier: Apache-2.0
"""Muon: gradient descent with momentum, each update made orthogonal."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic of Jordan et al., "Muon" (2024), which moves singular values to near 1."""
ITERATIONS = 5
ADAM_RMS = 0.2
"""Updates get the root mean square of Adam's (Liu et al., 2025), so that its rates hold here."""


class Muon(torch.optim.Optimizer):
    """Optimizer of matrices; a convolution is one of outputs by inputs times kernel.

    ``torch.optim.Muon`` takes matrices alone and computes in bfloat16, which few CPUs do fast.

    Args:
        weights: Parameters of two or more dimensions.
        lr: Learning rate, as it would suit AdamW.
        momentum: Share of the former direction that is kept, 0..1.
        weight_decay: Decay per step, relative to the rate.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                average = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = torch.lerp(weight.grad, average, group["momentum"])  # Nesterov's
                update = orthogonalized(ahead.flatten(1))
                scale = ADAM_RMS * max(update.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view(weight.shape), alpha=-group["lr"] * scale)


def orthogonalized(matrix: Tensor) -> Tensor:
    """Move the singular values of a matrix towards 1, by Newton-Schulz iteration.

    Most come to 0.7 to 1.2; very small ones stay below, as a square matrix of noise has some.

    The polynomial is built up on the smaller side's Gram matrix and applied to the matrix once,
    which multiplies half as much as iterating on a wide matrix.

    Args:
        matrix: (m, n) float32; zeros stay zeros.

    Returns:
        (m, n) float32.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    matrix = matrix / (torch.linalg.matrix_norm(matrix) + 1e-12)
    gram = matrix @ matrix.T
    total = factor = _factor(gram)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        total = factor @ total
    return total @ matrix


def _factor(gram: Tensor) -> Tensor:
    """Return what one iteration multiplies a matrix by, from its (m, m) Gram matrix."""
    a, b, c = COEFFICIENTS
    factor = torch.addmm(b * gram, gram, gram, alpha=c)
    factor.diagonal().add_(a)
    return factor
