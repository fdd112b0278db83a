# SPDX-License-Identifier: Apache-2.0
"""The segmenter's one call, and its settings that change between frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import write_network

from armseg_ros.backends.base import open_backend
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.errors import ConfigError
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import Frame


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    return Segmenter(open_backend(write_network(tmp_path / "n.onnx"), threads=1))


def test_settings_change_between_frames(segmenter: Segmenter) -> None:
    frame = Frame(np.zeros((64, 64, 3), np.uint8))
    assert len(segmenter.segment(frame).detections) == 1
    segmenter.config = SegmenterConfig(DecodeConfig(score_threshold=0.95))
    assert len(segmenter.segment(frame).detections) == 0


def test_frames_of_different_size_follow_each_other(segmenter: Segmenter) -> None:
    for height, width in ((64, 64), (33, 200), (2048, 2448), (1, 1), (64, 64)):
        detections = segmenter.segment(Frame(np.zeros((height, width, 3), np.uint8))).detections
        assert (detections.boxes[:, [0, 1]] >= 0).all()
        assert (detections.boxes[:, [2, 3]] <= [width, height]).all()


def test_stretch_and_letterbox_differ_on_a_wide_frame(segmenter: Segmenter) -> None:
    frame = Frame(np.zeros((64, 128, 3), np.uint8))
    letterbox = segmenter.segment(frame).detections.boxes
    segmenter.config = SegmenterConfig(letterbox="stretch")
    stretched = segmenter.segment(frame).detections.boxes
    np.testing.assert_allclose(letterbox, [[48, 4, 80, 28]])
    np.testing.assert_allclose(stretched, [[48, 18, 80, 30]])


def test_unknown_letterbox_mode() -> None:
    with pytest.raises(ConfigError, match="letterbox"):
        SegmenterConfig(letterbox="crop")


def test_a_frame_must_be_a_picture() -> None:
    for image in (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))):
        with pytest.raises(ValueError, match=r"Frame\.image"):
            Frame(image)
