# SPDX-License-Identifier: Apache-2.0
"""From a decoded picture to a verdict, and the model's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quality.made_up import Answer, Row, answer

from armseg_ros.config import DecodeConfig, QualityConfig
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.quality.classifier import Classifier, Linear
from armseg_ros.quality.frames import FRAME_COLUMNS, frame_columns
from armseg_ros.quality.model import QualityModel, load_quality_model
from armseg_ros.quality.pairs import PAIR_MARGIN
from armseg_ros.quality.result import PairKind, Quality, Verdict
from armseg_ros.types import RawOutput

DETECTOR = "a" * 64
LEFT, RIGHT, BOTH = (100, 200, 200, 300), (200, 200, 300, 300), (100, 200, 300, 300)
TOTE = Row((0, 0, 640, 640), 0.95, tote=True)


def step(column: str, threshold: float, columns: tuple[str, ...] = ()) -> Classifier:
    """Probability 0 below a threshold of one column and 1 above it, nearly."""
    names = columns or (column,)
    weights = np.array([50.0 * (name == column) for name in names])
    model = Linear(np.full(len(names), threshold), np.ones(len(names)), weights, 0.0)
    return Classifier(names, model)


def model() -> QualityModel:
    return QualityModel(
        (DETECTOR,),
        {
            "pair": step("parent", 0.1),
            "over": step(PAIR_MARGIN, 0.0),
            "under": step("children_disjoint", 0.1),
            "frame_over": step("largest", 0.5, FRAME_COLUMNS),
            "frame_under": step("largest", 0.5, FRAME_COLUMNS),
        },
        {"pictures": 3, "thresholds": {"score_threshold": 0.25, "iou_threshold": 0.45}},
    )


def assess(made: Answer, **options: object) -> Quality:
    arguments = {"detector_sha256": DETECTOR, **options}
    return model().assess(made.decoded, made.raw, made.tensor, **arguments)


def test_a_split_object() -> None:
    rows = [TOTE, Row(LEFT), Row((400, 400, 500, 500), 0.85), Row(RIGHT, 0.8), Row(BOTH, 0.2)]
    quality = assess(answer(rows))
    np.testing.assert_allclose(quality.p_over, [np.nan, 1, 0, 1], atol=0.02)
    np.testing.assert_allclose(quality.p_under, [np.nan, 0, 0, 0], atol=0.02)
    assert quality.partner[[0, 1, 3]].tolist() == [-1, 3, 1]
    assert quality.verdict == Verdict.LIKELY_OVER
    (pair,) = quality.pairs
    assert (pair.first, pair.second, pair.kind) == (1, 3, PairKind.MERGE)
    assert pair.probability > 0.9
    assert quality.frame_p_over > 0.9 > 0.1 > quality.frame_p_under
    assert 0 < quality.tote_coverage < 0.1
    assert quality.reasons == quality.under_indices == ()


def test_a_duplicate_is_named() -> None:
    inner = (105, 205, 205, 295)
    quality = assess(answer([Row(BOTH), Row(inner, 0.8), Row((80, 180, 320, 320), 0.2)]))
    assert [pair.kind for pair in quality.pairs] == [PairKind.DUPLICATE]


def test_a_merged_mask() -> None:
    quality = assess(answer([Row(BOTH), Row(LEFT, 0.2), Row(RIGHT, 0.2)]))
    assert quality.under_indices == (0,)
    assert quality.verdict == Verdict.LIKELY_UNDER
    both = [
        Row(BOTH),
        Row(LEFT, 0.2),
        Row(RIGHT, 0.2),
        Row((400, 0, 440, 80)),
        Row((440, 0, 480, 80)),
    ]
    torn = assess(answer([*both, Row((400, 0, 480, 80), 0.2)]))
    assert torn.verdict == Verdict.BOTH


def test_thresholds_are_live() -> None:
    made = answer([Row(BOTH), Row(LEFT, 0.2), Row(RIGHT, 0.2)])
    strict = assess(made, config=QualityConfig(under_threshold=1.0))
    assert strict.under_indices == ()
    assert assess(made, config=QualityConfig(under_threshold=0.9)).under_indices == (0,)
    assert assess(made, config=QualityConfig(0.0, 0.0)).verdict == Verdict.BOTH
    with pytest.raises(ConfigError, match="over_threshold is 2"):
        QualityConfig(over_threshold=2)


def test_other_thresholds_than_those_of_the_fit_are_told() -> None:
    made = answer([Row(BOTH)])
    assert assess(made, decode_config=DecodeConfig()).reasons == ()
    quality = assess(made, decode_config=DecodeConfig(score_threshold=0.4))
    assert quality.reasons == ("score_threshold is 0.4, the flags were fitted at 0.25",)
    assert quality.verdict == Verdict.OK


def test_an_unknown_detector_is_not_judged() -> None:
    quality = assess(answer([Row(BOTH), Row(LEFT, 0.8)]), detector_sha256="b" * 64)
    assert quality.verdict == Verdict.UNKNOWN
    assert np.isnan(quality.p_over).all()
    assert np.isnan([quality.frame_p_over, quality.frame_p_under]).all()
    assert quality.pairs == ()
    assert quality.reasons == (
        "the quality model was fitted to detector aaaaaaaaaaaa, not to bbbbbbbbbbbb; fit it again",
    )


def test_numbers_that_are_not_finite_are_not_judged() -> None:
    made = answer([Row(BOTH)])
    planes = np.full_like(made.raw.prototypes, np.nan)
    raw = RawOutput(made.raw.candidates.copy(), planes)
    quality = assess(made._replace(raw=raw))
    assert quality.verdict == Verdict.UNKNOWN
    assert "not finite" in quality.reasons[0]


def test_nothing_found() -> None:
    quality = assess(answer([]))
    assert quality.verdict == Verdict.OK
    assert quality.p_over.shape == (0,)
    assert (quality.pairs, quality.under_indices) == ((), ())
    assert np.isnan(quality.tote_coverage)


def test_a_target_that_was_not_fitted_is_nan_with_its_reason() -> None:
    full = model()
    partial = QualityModel(
        full.detectors,
        {name: c for name, c in full.classifiers.items() if "over" not in name},
        unfitted={"over": "only 3 positives"},
    )
    made = answer([Row(BOTH), Row(LEFT, 0.2), Row(RIGHT, 0.2)])
    quality = partial.assess(made.decoded, made.raw, made.tensor, DETECTOR)
    assert np.isnan(quality.p_over).all()
    assert np.isnan(quality.frame_p_over)
    assert quality.verdict == Verdict.LIKELY_UNDER
    assert quality.reasons == ("over: only 3 positives",)
    made = answer([Row(BOTH)])
    quality = partial.assess(made.decoded, made.raw, made.tensor, DETECTOR)
    assert quality.verdict == Verdict.UNKNOWN  # nobody looked for split objects


def test_without_a_model_of_pairs_nobody_has_a_partner() -> None:
    full = model()
    lone = {name: c for name, c in full.classifiers.items() if name in ("under", "frame_under")}
    partial = QualityModel(full.detectors, lone)
    made = answer([Row(LEFT), Row(RIGHT, 0.8)])
    quality = partial.assess(made.decoded, made.raw, made.tensor, DETECTOR)
    assert quality.partner.tolist() == [-1, -1]


def test_suspects_count_where_the_picture_has_no_model_of_its_own() -> None:
    full = model()
    partial = QualityModel(
        full.detectors, {n: c for n, c in full.classifiers.items() if not n.startswith("frame")}
    )
    made = answer([Row(LEFT), Row(RIGHT, 0.8), Row(BOTH, 0.2)])
    quality = partial.assess(made.decoded, made.raw, made.tensor, DETECTOR)
    assert quality.verdict == Verdict.LIKELY_OVER


def test_columns_of_a_picture() -> None:
    found = frame_columns(np.array([0.5, 0.2, np.nan], np.float32), 0.75)
    expected = [0.5, 0.2, -np.log(0.5 * 0.8), np.log(4), 0.25]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    empty = frame_columns(np.zeros(0, np.float32), float("nan"))
    np.testing.assert_allclose(empty, [0, 0, 0, 0, 0.5])


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    model().save(path)
    back = load_quality_model(path)
    made = answer([Row(LEFT), Row(RIGHT, 0.8), Row(BOTH, 0.2)])
    first, second = (
        m.assess(made.decoded, made.raw, made.tensor, DETECTOR) for m in (model(), back)
    )
    np.testing.assert_array_equal(first.p_over, second.p_over)
    assert back.training["pictures"] == 3


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    with pytest.raises(DataError, match="cannot read"):
        load_quality_model(path)
    for text in ("{", "[]", '{"version": 99}', '{"version": 1}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"flags\.json"):
            load_quality_model(path)
    model().save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    for key, value in (("detectors", []), ("classifiers", {"over": {}}), ("training", None)):
        path.write_text(json.dumps({**document, key: value}), encoding="utf-8")
        with pytest.raises(DataError, match=r"flags\.json"):
            load_quality_model(path)


@pytest.mark.parametrize(
    ("target", "column"),
    [
        ("over", "of_old"),
        ("pair", "score"),
        ("frame_under", "score"),
        ("over", PAIR_MARGIN),
        ("over", "\x1b[2J"),
    ],
)
def test_features_that_are_not_made(tmp_path: Path, target: str, column: str) -> None:
    """A model of another version is refused when it is read, not at the first picture."""
    known = {} if column == PAIR_MARGIN else model().classifiers
    path = tmp_path / "flags.json"
    QualityModel((DETECTOR,), {**known, target: step(column, 0.0)}).save(path)
    with pytest.raises(DataError) as caught:
        load_quality_model(path)
    assert str(caught.value) == f"{path}: the feature {column!r} is not made; fit it again"
