# SPDX-License-Identifier: Apache-2.0
"""Every family can be made, painted and drawn; copies of a product look the same."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.synthetic import scene
from armseg_ros.synthetic.objects import FAMILIES, make_product
from armseg_ros.synthetic.products import BoxPaint, BoxProduct, Paint
from armseg_ros.synthetic.render import render_tote


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_rendered(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "make_product", lambda rng: make_product(rng, family))
    tote = render_tote(5, 2, (110, 92))
    assert set(tote.families) == {family}
    assert (tote.instance_ids >= 2).sum() > 25


@pytest.mark.parametrize("family", FAMILIES)
def test_paint_is_finite_and_repeats(family: str) -> None:
    product = make_product(np.random.default_rng(8), family)
    assert product.family == family
    first, second = faces(product.paint(6.0)), faces(product.paint(6.0))
    for one, other in zip(first, second, strict=True):
        assert one.color.shape[2] == 3
        assert np.isfinite(one.color).all()
        assert np.array_equal(one.color, other.color)
        if one.sparkle is not None:
            assert np.isfinite(one.sparkle).all()
        if one.opacity is not None:
            assert 0 <= one.opacity.min() <= one.opacity.max() <= 1


def faces(paint: Paint | BoxPaint) -> list[Paint]:
    if isinstance(paint, Paint):
        return [paint]
    return [paint.top, paint.long_side, paint.short_side, paint.spine]


def test_sheets_have_a_body_on_one_grid() -> None:
    rng = np.random.default_rng(1)
    for family in FAMILIES:
        product = make_product(rng, family)
        if isinstance(product, BoxProduct):
            assert min(product.size_cm) > 0
            continue
        assert product.cover.shape == product.body.shape == product.grid.shape
        assert product.cover.dtype == product.body.dtype == np.float32
        assert (product.cover > 0.5).mean() > 0.1
        assert 0 <= product.drape <= 1


def test_all_families_turn_up() -> None:
    rng = np.random.default_rng(0)
    assert {make_product(rng).family for _ in range(600)} == set(FAMILIES)


def test_scenes_hold_one_to_twenty_five_goods_some_of_them_twins() -> None:
    scenes = [scene.build_scene(7, index) for index in range(12)]
    counts = [len(found.placed) for found in scenes]
    assert 1 <= min(counts) <= max(counts) <= scene.MAX_OBJECTS
    assert 6 < np.mean(counts) < 18
    numbers = [[good.product_number for good in found.placed] for found in scenes]
    assert any(len(set(row)) < len(row) for row in numbers)
