# SPDX-License-Identifier: Apache-2.0
"""Labels from ground truth, and tables on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quality.made_up import Row, answer, table

from armseg_ros.errors import DataError
from armseg_ros.quality.evidence import gather
from armseg_ros.quality.features import compute_features
from armseg_ros.quality.frames import frame_rows
from armseg_ros.quality.table import (
    PictureRows,
    build_table,
    join_tables,
    label_picture,
    load_table,
    save_table,
)
from armseg_ros.types import Instances, Mask


def truth(*boxes: tuple[int, int, int, int]) -> Instances:
    masks = tuple(Mask(np.ones((b - t, r - x), bool), x, t) for x, t, r, b in boxes)
    return Instances(
        np.array(boxes, np.float32),
        np.zeros(len(boxes), np.int32),
        masks,
        np.zeros(len(boxes), bool),
    )


def test_labels() -> None:
    rows = [
        Row((0, 0, 640, 640), 0.95, tote=True),
        Row((100, 200, 200, 300), 0.9),  # two halves of one object
        Row((200, 200, 300, 300), 0.8),
        Row((400, 400, 600, 500), 0.7),  # two objects in one mask
        Row((400, 100, 500, 200), 0.6),  # right
    ]
    made = answer(rows)
    evidence = gather(made.candidates, made.detections, made.raw, made.tensor)
    features = compute_features(evidence)
    actual = truth(
        (100, 200, 300, 300), (400, 400, 500, 500), (500, 400, 600, 500), (400, 100, 500, 200)
    )
    over, under, same = label_picture(evidence, features, made.detections, actual)
    assert over.tolist() == [True, True, False, False]
    assert under.tolist() == [False, False, True, False]
    pairs = list(zip(features.pairs.first.tolist(), features.pairs.second.tolist(), strict=True))
    assert same[pairs.index((0, 1))]
    assert same.sum() == 1
    joined = build_table([PictureRows("a", "a", 0, features, over, under, same)] * 2, "d", {})
    assert joined.picture.tolist() == [0] * 4 + [1] * 4
    assert joined.pair_rows[joined.same].tolist() == [[0, 1], [4, 5]]


def test_there_and_back_and_joined(tmp_path: Path) -> None:
    first, second = table(10), table(10, seed=1)
    save_table(first, tmp_path / "quality_table.npz")
    back = load_table(tmp_path)
    np.testing.assert_array_equal(back.instances, first.instances)
    assert (back.names, back.groups, back.origin) == (first.names, first.groups, first.origin)
    both = join_tables([back, second])
    assert len(both) == 20
    assert both.picture[-1] == 19
    np.testing.assert_array_equal(both.instances[both.pair_rows[-1, 1]], second.instances[-1])
    with pytest.raises(DataError, match="different detectors"):
        join_tables([first, replace(second, detector="e" * 64)])
    with pytest.raises(DataError, match="different features"):
        join_tables([first, replace(second, names=("a",))])
    with pytest.raises(DataError, match="different thresholds"):
        join_tables([first, replace(second, origin={"thresholds": {"iou_threshold": 0.6}})])


def test_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="armseg quality collect"):
        load_table(tmp_path)
    path = tmp_path / "quality_table.npz"
    path.write_bytes(b"not a table")
    with pytest.raises(DataError, match="not a quality table"):
        load_table(path)
    save_table(table(4), path)
    with np.load(path) as stored:
        arrays = dict(stored)
    for header, told in (("[]", "version None"), ('{"version": 1}', "lacks detector")):
        np.savez(path, **{**arrays, "header": np.array(header)})
        with pytest.raises(DataError, match=told):
            load_table(path)
    with pytest.raises(DataError, match="nothing to fit"):
        build_table([], "d", {})


def test_pictures_from_instances() -> None:
    made = table(4)
    p = np.zeros(len(made.over), np.float32)
    p[8 * 2 + 3] = 0.7
    labels = np.zeros(len(p), bool)
    labels[8 * 2] = True
    columns, any_label = frame_rows(made, p, labels)
    assert columns[:, 0].tolist() == pytest.approx([0, 0, 0.7, 0])
    assert any_label.tolist() == [False, False, True, False]


def test_pair_features_of_another_version(tmp_path: Path) -> None:
    """Those that are no longer made are left out; one that is missing is named."""
    known = table(4)
    more = np.column_stack((np.full(len(known.pairs), 7, np.float32), known.pairs))
    save_table(
        replace(known, pairs=more, pair_names=("old", *known.pair_names)), tmp_path / "a.npz"
    )
    back = load_table(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.pairs, known.pairs)
    assert back.pair_names == known.pair_names
    less = replace(known, pairs=known.pairs[:, 1:], pair_names=known.pair_names[1:])
    save_table(less, tmp_path / "b.npz")
    with pytest.raises(DataError, match=f"b.npz: lacks the pair feature {known.pair_names[0]}"):
        load_table(tmp_path / "b.npz")
