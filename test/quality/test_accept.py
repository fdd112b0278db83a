# SPDX-License-Identifier: Apache-2.0
"""Flags take over another file of the same weights only where they are as good on it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quality.made_up import table

from armseg_ros.cli import quality as verb
from armseg_ros.errors import DataError
from armseg_ros.quality.accept import accept
from armseg_ros.quality.model import QualityModel, load_quality_model
from armseg_ros.quality.table import QualityTable, save_table

pytest.importorskip("sklearn", reason="fitting needs scikit-learn, which is not installed")
from armseg_ros.quality import learners
from armseg_ros.quality.fit import fit

KNOWN, OTHER = "d" * 64, "f" * 64


@pytest.fixture(scope="module")
def flags() -> Iterator[QualityModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "TREES", 15)
        yield fit(table())


def answered_by_other(noise: float) -> QualityTable:
    """Make the answers of another file: those of the known one, less certain by ``noise``."""
    known, rng = table(seed=1), np.random.default_rng(9)
    instances = known.instances + noise * rng.normal(size=known.instances.shape)
    pairs = known.pairs + noise * rng.normal(size=known.pairs.shape)
    changed = {"instances": instances.astype(np.float32), "pairs": pairs.astype(np.float32)}
    return replace(known, detector=OTHER, **changed)


def test_as_good_on_its_answers(flags: QualityModel) -> None:
    wider, sentences = accept(flags, table(seed=1), answered_by_other(0.02))
    assert flags.detectors == (KNOWN,)
    assert wider.detectors == (KNOWN, OTHER)
    assert wider.classifiers is flags.classifiers
    assert [s.split(":")[0] for s in sentences] == [
        f"{target}, {figure}"
        for target in ("over", "under")
        for figure in ("auroc", "average_precision")
    ]
    again, _ = accept(wider, table(seed=1), answered_by_other(0.02))
    assert again.detectors == wider.detectors


def test_worse_on_its_answers(flags: QualityModel) -> None:
    with pytest.raises(DataError, match=r"over, auroc: 0\.\d+ \(.*other one; fit flags to it"):
        accept(flags, table(seed=1), answered_by_other(2.0))


def test_other_pictures_and_too_few(flags: QualityModel) -> None:
    with pytest.raises(DataError, match="120 and 16 pictures that are not the same"):
        accept(flags, table(seed=1), table(20, seed=1, detector=OTHER))
    few = table(2, seed=4)
    nothing = replace(few, over=np.zeros_like(few.over), under=np.zeros_like(few.under))
    with pytest.raises(DataError, match="too few errors"):
        accept(flags, nothing, replace(nothing, detector=OTHER))


def test_pictures_used_in_fitting(flags: QualityModel) -> None:
    with pytest.raises(DataError, match="75 of the scenes were used for fitting"):
        accept(flags, table(), table(detector=OTHER))


def test_known_run_must_be_of_a_known_detector(flags: QualityModel) -> None:
    with pytest.raises(DataError, match="was fitted to dddddddddddd"):
        accept(flags, table(seed=1, detector="a" * 64), answered_by_other(0.02))


def test_verb(flags: QualityModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rows in (("known", table(seed=1)), ("other", answered_by_other(0.02))):
        (tmp_path / name).mkdir()
        save_table(rows, tmp_path / name / "quality_table.npz")
    flags.save(tmp_path / "flags.json")
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    arguments = ["accept", str(tmp_path / "known"), str(tmp_path / "other")]
    options = ["--flags", str(tmp_path / "flags.json"), "-o", str(tmp_path / "flags.json")]
    assert verb.run(parser.parse_args([*arguments, *options])) == 0
    assert load_quality_model(tmp_path / "flags.json").detectors == (KNOWN, OTHER)
    assert "other 0." in capsys.readouterr().out
