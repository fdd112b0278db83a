# SPDX-License-Identifier: Apache-2.0
"""The segmenter in this process as the one who answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import write_network

from armseg_ros.backends.base import open_backend
from armseg_ros.errors import BackendError, ConfigError
from armseg_ros.evaluate.answer import InProcess
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.types import Frame

FRAME = Frame(np.zeros((128, 128, 3), np.uint8))


def test_an_answer_and_where_it_came_from(tmp_path: Path) -> None:
    backend = open_backend(write_network(tmp_path / "tiny.onnx"), threads=1)
    answerer = InProcess(backend, EvaluateConfig(score_threshold=0.01).segmenter())
    answer = answerer.answer(FRAME, bytes, 5.0)
    assert answer.detections.scores.tolist() == [pytest.approx(0.9)]
    assert answer.times.decode == 5.0
    assert answer.times.total > 5.0
    assert np.isnan(answer.round_trip_ms)
    said = answerer.provenance()
    assert said.mode == "in process"
    assert said.sha256 == backend.model.sha256
    assert said.thresholds == {
        "score_threshold": 0.01, "iou_threshold": 0.6, "max_detections": 100,
    }  # fmt: skip


@pytest.mark.parametrize("names", ["{0: 'Tote', 1: 'Tote'}", "{0: 'person', 1: 'dog'}"])
def test_a_model_of_other_classes_is_refused(tmp_path: Path, names: str) -> None:
    backend = open_backend(write_network(tmp_path / "tiny.onnx", names=names), threads=1)
    with pytest.raises(ConfigError, match=r"tiny@.* has the classes Object, Tote; use"):
        InProcess(backend, EvaluateConfig().segmenter())


@pytest.mark.parametrize(
    ("names", "class_id"), [("{0: 'tote', 1: 'OBJECT'}", 1), ("{0: 'object', 1: 'Tote'}", 0)]
)
def test_classes_are_found_by_name(tmp_path: Path, names: str, class_id: int) -> None:
    backend = open_backend(write_network(tmp_path / "tiny.onnx", names=names), threads=1)
    answerer = InProcess(backend, EvaluateConfig().segmenter())
    assert answerer.answer(FRAME, bytes, 0.0).detections.class_ids.tolist() == [class_id]


def test_a_model_that_names_no_classes_is_trusted_until_it_cannot_be(tmp_path: Path) -> None:
    path = write_network(tmp_path / "tiny.onnx", classes=5, names=None)
    answerer = InProcess(open_backend(path, threads=1), EvaluateConfig().segmenter())
    assert len(answerer.answer(FRAME, bytes, 0.0).detections) == 1


def test_a_class_beyond_ours(tmp_path: Path) -> None:
    import onnx

    path = write_network(tmp_path / "tiny.onnx", classes=5, names=None)
    model = onnx.load(path)
    rows = onnx.numpy_helper.to_array(model.graph.node[0].attribute[0].t).copy()
    rows[0, 0, 5 + 3] = 1.0
    rows[0, 0, 5] = 0.0
    model.graph.node[0].attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(rows))
    onnx.save(model, path)
    answerer = InProcess(open_backend(path, threads=1), EvaluateConfig().segmenter())
    with pytest.raises(BackendError, match="answers with class 3"):
        answerer.answer(FRAME, bytes, 0.0)
