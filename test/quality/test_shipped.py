# SPDX-License-Identifier: Apache-2.0
"""The shipped flags load, and belong to the shipped detector."""

from __future__ import annotations

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.models import default_model_path, int8_model_path
from armseg_ros.quality.model import TARGETS, load_quality_model
from armseg_ros.quality.shipped import default_flags_path


def test_the_flags_belong_to_the_detector() -> None:
    model = load_quality_model(default_flags_path())
    assert file_sha256(default_model_path()) in model.detectors
    assert file_sha256(int8_model_path()) in model.detectors, "see armseg quality accept"
    assert set(model.classifiers) == set(TARGETS)
