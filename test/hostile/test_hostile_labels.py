# SPDX-License-Identifier: Apache-2.0
"""COCO files made to break a reader: labels that explode, names that leave, text that fights."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import totes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentences import check_sentence

from armseg_ros.data.coco import read_coco
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError, shown
from armseg_ros.masks import decode_crop

HEIGHT, WIDTH = totes.HW


def truth_of(folder: Path, **changes: Any) -> Any:
    """Decode the first picture's truth, with the first annotation changed."""
    totes.write_coco(folder, count=1)
    totes.edit_json(folder / "test.json", lambda d: d["annotations"][0].update(changes))
    return read_coco(folder).samples[0].truth


NASTY = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 65535, 2**31, 2**63, -(2**63), 10**400, 1e308, float("nan"),
                       float("inf"), "", "\0", "\ud800", "../../etc/passwd", "/etc/passwd",
                       "\x1b[2J", "<script>alert(1)</script>", "x" * 5000])
    | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner,
                                                                 max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [path, *(p for key in keys for p in places(value[key], (*path, key)))]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = totes.write_coco(tmp_path_factory.mktemp("totes"), count=2)
    return json.loads((folder / "test.json").read_text())


@given(st.data())
@settings(
    max_examples=250, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_of_a_file_is_read_or_is_one_sentence(
    document: dict[str, Any], tmp_path: Path, data: st.DataObject
) -> None:
    changed = {"root": copy.deepcopy(document)}
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(changed)[1:]))
        parent: Any = changed
        for key in way:
            parent = parent[key]
        parent[last] = data.draw(NASTY)
    path = tmp_path / "test.json"
    path.write_text(json.dumps(changed["root"]))
    try:
        samples = read_coco(path).samples
        for sample in samples:
            assert sample.image_path.is_relative_to(tmp_path / "images")
            assert len(sample.truth) == len(sample.annotations)
    except DataError as error:
        check_sentence(error)


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        ([[-1e6, -1e6, 1e6, 1e6] * 20], "outline of 8e\\+07 px, more than"),  # died without a word
        ([[1, 1, 5, 1, 5, 5] * 400_000], "1200000 corners"),
        ({"size": [HEIGHT, WIDTH], "counts": [1.5, HEIGHT * WIDTH - 1.5]}, "whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [True] * (HEIGHT * WIDTH)}, "whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [2**32, HEIGHT * WIDTH - 2**32]}, "whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": "0" * 10**6}, "too many for 3072 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": "o" * 14}, "end inside a number"),
        ({"size": [HEIGHT, WIDTH], "counts": "oooooooooooo0"}, "add up to"),
        ({"size": {"a": [[[[1]]]]}, "counts": ""}, "has size"),
    ],
)
def test_segmentations_that_explode(tmp_path: Path, segmentation: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        truth_of(tmp_path, segmentation=segmentation)


@given(st.binary(max_size=60), st.integers(0, 70000), st.integers(0, 9))
@settings(max_examples=500, derandomize=True)
def test_run_lengths_of_a_message_fill_their_crop_or_are_refused(
    counts: bytes, height: int, width: int
) -> None:
    try:
        mask = decode_crop(counts, (height, width), (0, 0))
    except DataError:
        return
    assert mask.crop.shape == (height, width)


def test_a_label_of_gigapixels_is_not_painted(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=1)
    change = {"height": 65535, "width": 65535}
    totes.edit_json(tmp_path / "test.json", lambda d: d["images"][0].update(change))
    with pytest.raises(DataError, match="65535x65535 pixels, more than the 100 million"):
        read_coco(tmp_path)


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=1)
    link = tmp_path / "images" / "a.jpg"
    link.symlink_to(link)
    totes.edit_json(tmp_path / "test.json", lambda d: d["images"][0].update(file_name="a.jpg"))
    with pytest.raises(DataError, match=r"a\.jpg"):
        [item.frame() for item in open_source(tmp_path)]


def test_a_file_that_nests_without_end(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text('{"images": ' + "[" * 10**5 + "]" * 10**5 + "}")
    with pytest.raises(DataError, match="not a readable JSON file"):
        read_coco(tmp_path)


def test_values_are_quoted_short_and_without_control_characters() -> None:
    for value in ("\x1b[31m\n" * 10**5, ["\n" * 999] * 999, {"a": {"b": "\r" * 999}}, 10**4000):
        text = shown(value)
        assert text.isprintable()
        assert len(text) < 500


def test_half_characters_are_refused_before_a_report_dies_of_them(tmp_path: Path) -> None:
    totes.write_coco(tmp_path, count=1)
    change = {"tote_color": ["\ud800"]}
    totes.edit_json(tmp_path / "test.json", lambda d: d["images"][0].update(change))
    with pytest.raises(DataError, match="image 3 has an attribute with half a character"):
        read_coco(tmp_path)
