# SPDX-License-Identifier: Apache-2.0
"""The shipped flags load, and belong to the shipped detector."""

from __future__ import annotations

from quality.made_up import feature_names

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.models import default_model_path, int8_model_path
from armseg_ros.quality.model import TARGETS, load_quality_model
from armseg_ros.quality.pairs import PAIR_FEATURES, PAIR_MARGIN
from armseg_ros.quality.shipped import default_flags_path


def test_the_flags_belong_to_the_detector() -> None:
    model = load_quality_model(default_flags_path())
    assert file_sha256(default_model_path()) in model.detectors
    assert file_sha256(int8_model_path()) in model.detectors, "see armseg quality accept"
    assert set(model.classifiers) == set(TARGETS)


def test_every_column_is_a_feature() -> None:
    model = load_quality_model(default_flags_path())
    known = {*feature_names(), PAIR_MARGIN}
    assert set(model.classifiers["over"].columns) <= known
    assert set(model.classifiers["under"].columns) <= known
    assert set(model.classifiers["pair"].columns) <= set(PAIR_FEATURES)
