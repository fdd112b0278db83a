# SPDX-License-Identifier: Apache-2.0
"""Bad input through the whole segmenter: defined flags, no warning, no crash."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quality.made_up import Answer, Row, answer

from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.quality.result import Verdict
from armseg_ros.quality.shipped import open_flags
from armseg_ros.segmenter import Segmentation, Segmenter
from armseg_ros.types import Float32Array, Frame, RawOutput

FLAGS = open_flags()
PICTURE = np.random.default_rng(2).integers(0, 256, (640, 640, 3), np.uint8)
ONE = (100.0, 100.0, 300.0, 300.0)


class Told:
    """A network that gives an answer made beforehand."""

    name = "told"

    def __init__(self, raw: RawOutput, detector: str) -> None:
        self._raw = raw
        self.model = ModelInfo(Path("told.onnx"), detector, (640, 640), ("Object", "Tote"))

    def infer(self, _tensor: Float32Array) -> RawOutput:
        return self._raw

    def close(self) -> None:
        pass


def segment(made: Answer, detector: str = FLAGS.detectors[0], iou: float = 0.45) -> Segmentation:
    config = SegmenterConfig(DecodeConfig(iou_threshold=iou))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Segmenter(Told(made.raw, detector), config, FLAGS).segment(Frame(PICTURE))


def many(count: int, size: float) -> list[Row]:
    places = [(6.4 * (10 * k) % 640, 64.0 * (k // 10)) for k in range(count)]
    return [Row((x, y, x + size, y + size), 0.95 - k / 200) for k, (x, y) in enumerate(places)]


CASES = {
    "nothing": [],
    "a tote alone": [Row((0, 0, 640, 640), tote=True)],
    "one": [Row(ONE)],
    "a hundred": many(100, 60),
    "masks of one pixel": many(20, 1),
    "outside the picture": [Row((-90, -90, -10, -10)), Row((700, 700, 900, 900), 0.8)],
    "one giant": [Row((-2000, -2000, 2640, 2640))],
    "all scores equal": [Row((x, 100, x + 150, 250), 0.5) for x in (0, 100, 200, 300)],
    "empty masks": [Row(ONE, prototype=1), Row((400, 400, 500, 500), 0.8, prototype=1)],
    "without extent": [Row((50, 50, 50, 50)), Row((80, 80, 80, 120), 0.8)],
}


@pytest.mark.parametrize("name", CASES)
def test_defined_flags(name: str) -> None:
    result = segment(answer(CASES[name]))
    quality, detections = result.quality, result.detections
    assert quality is not None
    assert quality.verdict in (Verdict.OK, Verdict.LIKELY_OVER, Verdict.LIKELY_UNDER, Verdict.BOTH)
    objects = detections.class_ids == 0
    for p in (quality.p_over, quality.p_under):
        assert len(p) == len(detections)
        assert np.isnan(p[~objects]).all()
        assert ((p[objects] >= 0) & (p[objects] <= 1)).all()
    assert 0 <= quality.frame_p_over <= 1
    assert 0 <= quality.frame_p_under <= 1
    has_tote = (~objects).any()
    assert 0 <= quality.tote_coverage <= 1 if has_tote else np.isnan(quality.tote_coverage)
    assert result.times.quality > 0
    assert result.times.total >= result.times.quality


def test_all_on_one_place() -> None:
    rows = [Row((100 + k, 100, 300 + k, 300), 0.9 - k / 100) for k in range(40)]
    quality = segment(answer(rows), iou=1.0).quality
    assert quality is not None
    assert len(quality.p_over) == 40
    assert np.isfinite(quality.p_over).all()
    assert (quality.partner[:2] >= 0).all()
    assert quality.reasons == ("iou_threshold is 1.0, the flags were fitted at 0.45",)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prototypes_that_are_not_finite(value: float) -> None:
    made = answer([Row(ONE)])
    planes = made.raw.prototypes.copy()
    planes[:] = value
    quality = segment(made._replace(raw=replace(made.raw, prototypes=planes))).quality
    assert quality is not None
    assert quality.verdict == Verdict.UNKNOWN
    assert np.isnan(quality.p_over).all()
    assert "not finite" in quality.reasons[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coefficients_of_a_suppressed_candidate_that_are_not_finite(value: float) -> None:
    made = answer([Row(ONE), Row((105, 100, 300, 300), 0.5), Row((400, 400, 500, 500), 0.6)])
    rows = made.raw.candidates.copy()
    rows[1, 7:] = value
    quality = segment(made._replace(raw=replace(made.raw, candidates=rows))).quality
    assert quality is not None
    assert quality.verdict == Verdict.UNKNOWN
    assert np.isnan(quality.p_over).all()


def test_coefficients_whose_squares_overflow() -> None:
    made = answer([Row(ONE), Row((105, 100, 300, 300), 0.5), Row((400, 400, 500, 500), 0.6)])
    rows = made.raw.candidates.copy()
    rows[:, 7:] *= 1e30
    quality = segment(made._replace(raw=replace(made.raw, candidates=rows))).quality
    assert quality is not None
    assert np.isfinite(quality.p_over).all()


def test_prototypes_that_are_not_finite_where_nothing_was_found() -> None:
    made = answer([])
    planes = np.full_like(made.raw.prototypes, np.nan)
    quality = segment(made._replace(raw=replace(made.raw, prototypes=planes))).quality
    assert quality is not None
    assert quality.verdict == Verdict.UNKNOWN


def test_an_unknown_detector_still_has_a_tote_coverage() -> None:
    rows = [Row((0, 0, 320, 640)), Row((0, 0, 640, 640), 0.8, tote=True)]
    quality = segment(answer(rows), detector="0" * 64).quality
    assert quality is not None
    assert quality.verdict == Verdict.UNKNOWN
    assert np.isnan(quality.p_under).all()
    assert quality.tote_coverage == pytest.approx(0.5)
    assert "not to 000000000000; fit it again" in quality.reasons[0]


def test_without_flags_nothing_is_judged() -> None:
    result = Segmenter(Told(answer([Row(ONE)]).raw, "0" * 64)).segment(Frame(PICTURE))
    assert result.quality is None
    assert np.isnan(result.times.quality)
