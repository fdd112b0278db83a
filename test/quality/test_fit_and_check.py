# SPDX-License-Identifier: Apache-2.0
"""Fitting finds what was planted, and the sheet says so; the verb does it from pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import totes
from networks import write_network
from quality.made_up import table

from armseg_ros.cli import quality as verb
from armseg_ros.cli.main import main
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.quality.check import check
from armseg_ros.quality.model import QualityModel, load_quality_model
from armseg_ros.quality.sheet import reliability_svg, sheet_text
from armseg_ros.quality.table import load_table, save_table

pytest.importorskip("sklearn", reason="fitting needs scikit-learn, which is not installed")
from armseg_ros.quality import learners
from armseg_ros.quality.fit import fit
from armseg_ros.quality.learners import Rows, fit_linear, fit_trees, held_out_margins


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "TREES", 15)
        yield


@pytest.fixture(scope="module")
def fitted(few_trees: None) -> QualityModel:
    return fit(table(), ["e" * 64])


def test_what_was_planted_is_found_on_other_pictures(fitted: QualityModel) -> None:
    sheet = check(fitted, table(seed=1))
    for target in ("over", "under"):
        block = sheet[target]["instance"]
        assert block["auroc"] > 0.9
        assert block["average_precision"] > 4 * block["prevalence"]
        assert block["calibration_error"] < 0.05
        assert block["auroc_interval"][0] < block["auroc"] < block["auroc_interval"][1]
        shuffled = block["compared"]["shuffled labels"]
        assert 0.35 < shuffled["auroc"] < 0.65
        assert shuffled["lead_interval"][0] > 0
        assert sheet[target]["frame"]["auroc"] > 0.7
        assert sheet[target]["hard"]["rows"] <= block["rows"]
    assert (sheet["pictures"], sheet["scenes_seen_in_fitting"]) == (120, 0)
    assert fitted.training["under"]["chosen"] != "linear on six"
    json.dumps(sheet, allow_nan=False)


def test_the_sheet_as_text_and_picture(fitted: QualityModel) -> None:
    sheet = check(fitted, table())
    text = sheet_text(sheet)
    assert "75 of the scenes were used for fitting" in text
    assert all(f"over, {title}: " in text for title in ("instance", "touching", "picture"))
    assert max(len(line) for line in text.splitlines()) <= 110
    drawing = reliability_svg(sheet)
    assert drawing.count("<polyline") == 4
    assert "nan" not in drawing


def test_a_detector_that_the_flags_do_not_know(fitted: QualityModel) -> None:
    assert check(fitted, table(20, detector="e" * 64))["pictures"] == 16
    with pytest.raises(DataError, match="fitted to dddddddddddd"):
        check(fitted, table(20, detector="f" * 64))


def test_too_few_errors() -> None:
    with pytest.raises(DataError, match=r"too few errors.* over: only .*20 in 10 are needed"):
        fit(table(8))
    one_scene = replace(table(), groups=("a",) * 75 + ("b",) * 75)
    with pytest.raises(DataError, match="in 2 scenes of the fitting data"):
        fit(one_scene)


def test_pictures_without_an_error_in_one_scene_alone() -> None:
    """Such a picture's probability cannot be held against other scenes, the instances' can."""
    made = table(100)
    under = made.under.copy()
    under[::8] = np.arange(100) < 75
    under[75 * 8 :] = False
    groups = tuple("last" if k >= 75 else str(k) for k in range(100))
    found = fit(replace(made, under=under, groups=groups, variant=np.zeros_like(made.variant)))
    assert "under" in found.classifiers
    assert "frame_under" not in found.classifiers
    assert "25 negatives in 1 scenes" in found.unfitted["frame_under"]


def test_trees_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []

    class Remembering(learners.GradientBoostingClassifier):
        def fit(self, *arguments: object) -> object:
            grown.append(self)
            return super().fit(*arguments)

    monkeypatch.setattr(learners, "GradientBoostingClassifier", Remembering)
    random = np.random.default_rng(0)
    values = random.normal(size=(400, 6)).astype(np.float32)
    labels = values[:, 0] * values[:, 1] + 0.3 * random.normal(size=400) > 0.3
    rows = Rows(values, tuple("abcdef"), labels, np.arange(400), np.ones(400, bool))
    classifier = fit_trees(rows)
    expected = grown[0].decision_function(values)
    np.testing.assert_allclose(classifier.margin(values, rows.names), expected, atol=1e-6)


def test_no_scene_is_on_both_sides() -> None:
    seen = []
    groups = np.arange(60) // 3
    values = np.arange(60, dtype=np.float32)[:, None]
    rows = Rows(values, ("a",), np.arange(60) % 2 == 0, groups, np.ones(60, bool))

    def learner(part: Rows, seed: int) -> object:
        seen.append(set(part.groups.tolist()))
        return fit_linear(part, seed)

    margins = held_out_margins(rows, learner)
    assert np.isfinite(margins).all()
    assert len(seen) == 5
    held = [set(range(20)) - part for part in seen]
    assert sorted(group for part in held for group in part) == list(range(20))


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([str(argument) for argument in arguments]))


def test_collect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = totes.write_coco(tmp_path / "coco", count=3)
    network = write_network(tmp_path / "tiny.onnx")
    options = ("--model", network, "--threads", "1", "--group-by", "tote_color")
    assert run("collect", folder, "-o", tmp_path / "run", *options) == 0
    assert "3 pictures, 3 objects, 0 of split ones, 0 merging" in capsys.readouterr().out
    stored = load_table(tmp_path / "run")
    assert set(stored.groups) == {"blue", "yellow"}
    assert stored.origin["variants"] == 3
    with pytest.raises(DataError, match="has no attribute 'robot'"):
        run("collect", folder, "-o", tmp_path, "--model", network, "--group-by", "robot")
    with pytest.raises(ConfigError, match="--limit is -1"):
        run("collect", folder, "-o", tmp_path, "--limit", "-1")


def test_fit_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        save_table(table(seed=seed), tmp_path / name / "quality_table.npz")
    flags = tmp_path / "new" / "flags.json"
    assert run("fit", tmp_path / "a", "-o", flags) == 0
    assert load_quality_model(flags).detectors == ("d" * 64,)
    capsys.readouterr()
    assert run("check", tmp_path / "b", "--flags", flags, "-o", tmp_path / "sheet") == 0
    assert capsys.readouterr().out.startswith("120 pictures of 75 scenes, detector dddddddddddd")
    sheet = json.loads((tmp_path / "sheet" / "check.json").read_text(encoding="utf-8"))
    assert sheet["under"]["instance"]["auroc"] > 0.9
    assert (tmp_path / "sheet" / "reliability.svg").is_file()
    with pytest.raises(DataError, match="no such model file"):
        run("fit", tmp_path / "a", "-o", flags, "--same-weights", tmp_path / "gone.engine")


def test_a_model_that_numbers_its_classes_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_network(tmp_path / "swapped.onnx", names="{0: 'Tote', 1: 'Object'}")
    folder = totes.write_coco(tmp_path / "coco", count=2)
    arguments = ["quality", "collect", str(folder), "--model", str(network)]
    assert main([*arguments, "-o", str(tmp_path / "table")]) == 2
    assert "numbers its classes Tote, Object; flags need Object, Tote" in capsys.readouterr().err
