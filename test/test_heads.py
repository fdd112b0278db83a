# SPDX-License-Identifier: Apache-2.0
"""Heads are told apart by their shapes; anything else is refused with the shapes in the text."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.errors import BackendError
from armseg_ros.heads import read_outputs

HW = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3


def prototypes(dtype: type = np.float32) -> np.ndarray:
    return np.zeros((1, 32, 16, 24), dtype)


@pytest.mark.parametrize("classes", [1, 2, 80])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_yolov5(classes: int, dtype: type) -> None:
    rows = np.ones((1, 3 * CELLS, 5 + classes + 32), dtype)
    raw = read_outputs([rows, prototypes(dtype)], HW, classes)
    assert raw.candidates.shape == (3 * CELLS, 5 + classes + 32)
    assert raw.candidates.dtype == raw.prototypes.dtype == np.float32
    assert raw.class_count == classes
    assert raw.features is None


@pytest.mark.parametrize("classes", [1, 80])
def test_yolov8_gets_objectness_one(classes: int) -> None:
    columns = np.arange((4 + classes + 32) * CELLS, dtype=np.float32).reshape(1, -1, CELLS)
    raw = read_outputs([prototypes(), columns], HW, classes)
    assert raw.class_count == classes
    np.testing.assert_array_equal(raw.candidates[:, 4], 1)
    np.testing.assert_array_equal(raw.candidates[7, :4], columns[0, :4, 7])
    np.testing.assert_array_equal(raw.candidates[7, 5:], columns[0, 4:, 7])


def test_features_are_kept() -> None:
    rows = np.zeros((1, 3 * CELLS, 39), np.float32)
    raw = read_outputs([rows, prototypes(), np.ones((1, 896), np.float16)], HW)
    assert raw.features is not None
    assert raw.features.shape == (896,)


@pytest.mark.parametrize(
    "outputs",
    [
        [np.zeros((1, 300, 38), np.float32), prototypes()],  # suppression built in
        [np.zeros((1, 3 * CELLS, 39), np.float32)],  # boxes without masks
        [np.zeros((2, 3 * CELLS, 39), np.float32), np.zeros((2, 32, 16, 24), np.float32)],
        [np.zeros((1, 3 * CELLS, 39), np.float32), np.zeros((1, 32, 15, 24), np.float32)],
        [np.zeros((), np.float32)],
        [],
    ],
)
def test_anything_else_is_refused(outputs: list[np.ndarray]) -> None:
    with pytest.raises(BackendError, match="neither YOLOv5-seg") as caught:
        read_outputs(outputs, HW)
    for output in outputs:
        assert str(list(output.shape)) in str(caught.value)


def test_class_names_must_match() -> None:
    rows = np.zeros((1, 3 * CELLS, 39), np.float32)
    with pytest.raises(BackendError, match="2 classes, expected 80 in its metadata"):
        read_outputs([rows, prototypes()], HW, 80)


def test_no_class_at_all() -> None:
    rows = np.zeros((1, 3 * CELLS, 37), np.float32)
    with pytest.raises((BackendError, ValueError), match="class"):
        read_outputs([rows, prototypes()], HW)
