# SPDX-License-Identifier: Apache-2.0
"""Figures of a run on choices of its pictures, held against its summary."""

from __future__ import annotations

import numpy as np
import pytest
import totes
from oracle import Oracle

from armseg_ros.data.source import open_source
from armseg_ros.evaluate.measures import MEASURES, RATIOS, Measured, intervals, measure
from armseg_ros.evaluate.read_run import Run, read_run
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    source = open_source(totes.write_coco(folder / "coco", count=9))
    evaluate(source, Oracle(source), EvaluateConfig(), folder / "run")
    return read_run(folder / "run")


@pytest.fixture(scope="module")
def measured(run: Run) -> Measured:
    return measure(run)


def test_all_pictures_give_the_figures_of_the_summary(run: Run, measured: Measured) -> None:
    values = measured.values()
    assert tuple(values) == MEASURES
    accuracy = run.summary["accuracy"]
    assert values["object_mask_ap"] == pytest.approx(accuracy["mask"]["Object"]["ap"], abs=1e-9)
    assert values["object_mask_ap75"] == pytest.approx(accuracy["mask"]["Object"]["ap75"], abs=1e-9)
    assert values["tote_mask_ap"] == pytest.approx(accuracy["mask"]["Tote"]["ap"], abs=1e-9)
    assert values["precision"] == accuracy["at_threshold"]["Object"]["precision"]
    assert values["recall"] == accuracy["at_threshold"]["Object"]["recall"]
    for rule in ("seed", "hoover"):
        for name in ("over", "merged", "missed", "under", "noise"):
            rate = run.summary["splits"][rule][f"{name}_rate"]
            assert values[f"{rule}_{name}_rate"] == pytest.approx(rate, abs=1e-12)


def test_parts_and_weights_are_the_same(measured: Measured) -> None:
    chosen = np.arange(9) % 2 == 0
    part = measured.part(chosen)
    assert part.sample_ids == measured.sample_ids[::2]
    weighted = measured.values(chosen.astype(int))
    for name, value in part.values().items():
        np.testing.assert_allclose(weighted[name], value, atol=1e-12)


def test_pictures_in_another_order(run: Run, measured: Measured) -> None:
    turned = measure(run, measured.sample_ids[::-1])
    np.testing.assert_array_equal(turned.errors(), measured.errors()[::-1])
    assert turned.values() == pytest.approx(measured.values())


def test_errors_are_between_nothing_wrong_and_nothing_right(measured: Measured) -> None:
    errors = measured.errors()
    assert errors[0] == 0.0  # no object, and none found
    assert 0 < errors.max() <= 1
    found, counted, objects = (measured.sums[n][1:] for n in ("found", "counted", "objects"))
    np.testing.assert_allclose(errors[1:], 1 - 2 * found / (counted + objects))


def test_intervals_hold_the_figure_and_repeat(measured: Measured) -> None:
    names = ("object_mask_ap", "recall")
    drawn = intervals(measured, names, most_draws=200)
    for name, value in measured.values(names=names).items():
        low, high = drawn[name]
        assert low < value < high
    assert intervals(measured, names, most_draws=200) == drawn
    assert intervals(measured, names, most_draws=200, seed=1) != drawn


def test_intervals_of_many_pictures_are_as_wide_as_they_must_be() -> None:
    """One object in each of 9000 pictures, found with probability 0.3: the answer is binomial."""
    found = (np.random.default_rng(3).random(9000) < 0.3).astype(float)
    names = tuple(str(k) for k in range(9000))
    many = Measured(names, {"found": found, "objects": np.ones(9000)}, {})
    low, high = intervals(many, ("recall",))["recall"]
    expected = 1.96 * np.sqrt(found.mean() * (1 - found.mean()) / 9000)
    assert (low + high) / 2 == pytest.approx(found.mean(), abs=0.1 * expected)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.12)


def test_no_pictures_have_no_figures(measured: Measured) -> None:
    nothing = measured.part(np.zeros(9, bool))
    assert all(np.isnan(value) for value in nothing.values().values())
    assert set(intervals(nothing, ("recall",)).values()) == {None}
    empty_picture = measured.part(np.arange(9) == 0)
    assert np.isnan(empty_picture.values(names=tuple(RATIOS))["recall"])
    assert intervals(empty_picture, ("recall",), most_draws=50)["recall"] is None


def test_one_picture_has_no_interval(measured: Measured) -> None:
    one = measured.part(np.arange(9) == 1)
    assert 0 <= one.values(names=("recall",))["recall"] <= 1
    assert intervals(one, ("recall",), most_draws=50)["recall"] is None
