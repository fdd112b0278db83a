# SPDX-License-Identifier: Apache-2.0
"""Muon against the direct form of its iteration and a step worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from armseg_ros.train.muon import ADAM_RMS, COEFFICIENTS, ITERATIONS, Muon, orthogonalized

SHAPES = [(64, 64), (32, 288), (128, 32), (1, 9)]


def iterated_directly(matrix: Tensor) -> Tensor:
    """The iteration as it is published, on the matrix itself, in float64."""
    a, b, c = COEFFICIENTS
    x = matrix.double() / torch.linalg.matrix_norm(matrix.double())
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.float()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_polynomial_on_the_gram_matrix_is_the_published_iteration(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    expected = iterated_directly(matrix)
    torch.testing.assert_close(orthogonalized(matrix), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES[1:])  # square ones have singular values near 0
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 50
    values = torch.linalg.svdvals(orthogonalized(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.25


def test_zeros_stay_zeros():
    assert torch.equal(orthogonalized(torch.zeros(8, 72)), torch.zeros(8, 72))


def test_the_first_step_of_a_convolution():
    weight = nn.Parameter(torch.ones(8, 4, 3, 3))
    gradient = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(3))
    weight.grad = gradient.clone()
    Muon([weight], lr=0.1, momentum=0.95, weight_decay=0.5).step()
    direction = orthogonalized(gradient.flatten(1)).view(8, 4, 3, 3)  # its length does not matter
    expected = 1 - 0.1 * 0.5 - 0.1 * ADAM_RMS * 36**0.5 * direction
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_second_step_keeps_most_of_the_first_direction():
    weight = nn.Parameter(torch.zeros(8, 36))
    optimizer = Muon([weight], lr=0.1, momentum=0.95, weight_decay=0.0)
    generator = torch.Generator().manual_seed(4)
    first, second = (torch.randn(8, 36, generator=generator) for _ in range(2))
    weight.grad = first
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = second
    optimizer.step()
    average = 0.95 * 0.05 * first + 0.05 * second
    ahead = 0.05 * second + 0.95 * average
    expected = before - 0.1 * ADAM_RMS * 36**0.5 * orthogonalized(ahead)
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-5)


def test_weights_without_gradient_are_left_alone():
    weight = nn.Parameter(torch.ones(4, 4))
    Muon([weight], lr=0.1, momentum=0.95, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), torch.ones(4, 4))
