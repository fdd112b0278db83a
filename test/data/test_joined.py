# SPDX-License-Identifier: Apache-2.0
"""Many sources as one: which are found, what they are called, what their pictures are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import totes

from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.data.joined import JoinedSource, NamedSource, find_sources
from armseg_ros.errors import DataError


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Two bags and a COCO folder, at different depths."""
    coco = totes.write_coco(tmp_path / "day/labelled", count=2)
    for name in ("cell_b/run", "cell_a/run"):
        target = tmp_path / "day" / name
        target.parent.mkdir(parents=True)
        write_bag_from_coco(coco, "test", target)
    return tmp_path / "day"


def names(*given: str | Path) -> list[str]:
    return [source.name for source in find_sources(given)]


def test_a_folder_is_searched_at_any_depth(day: Path) -> None:
    assert names(day) == ["cell_a_run", "cell_b_run", "day_labelled"]


def test_a_source_itself_is_one(day: Path) -> None:
    assert names(day / "cell_a/run") == ["run"]
    assert names(day / "labelled") == ["labelled"]
    assert names(day / "labelled/test.json") == ["test.json"]
    (bag_file,) = (day / "cell_a/run").glob("*.mcap")
    assert names(bag_file) == [bag_file.name]


def test_a_pattern_is_expanded_and_nothing_comes_twice(day: Path) -> None:
    assert names(day / "cell_*/run", day / "cell_a") == ["cell_a_run", "cell_b_run"]


def test_bags_of_a_single_file_are_found(day: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    (bag_file,) = (day / "cell_a/run").glob("*.mcap")
    bag_file.rename(loose / "one.mcap")
    assert names(loose) == ["one.mcap"]


def test_pictures_without_labels_are_one_source(day: Path) -> None:
    assert names(day / "labelled/images") == ["images"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing_here: no such bag"):
        find_sources([tmp_path / "nothing_here"])
    with pytest.raises(DataError, match=r"day_\*: no such bag"):
        find_sources([tmp_path / "day_*"])
    with pytest.raises(DataError, match="no source was given"):
        find_sources([])


def test_pictures_keep_their_order_and_get_names_and_numbers_of_their_own(day: Path) -> None:
    joined = JoinedSource(find_sources([day]))
    assert (len(joined), joined.split, joined.has_truth) == (6, "test", True)
    items = list(joined)
    assert [item.image_id for item in items] == [1, 2, 3, 4, 5, 6]
    assert [item.sample_id for item in items[::2]] == [
        f"{name}/cell_0/000.jpg" for name in ("cell_a_run", "cell_b_run", "day_labelled")
    ]
    first, third = items[0], items[2]
    assert first.content() == third.content()
    assert first.frame().sample_id == first.sample_id
    assert first.attributes == {"tote_color": "blue"}
    totes.assert_same_instances(items[1].truth(), items[3].truth())


def test_splits_that_differ_have_no_name(day: Path, tmp_path: Path) -> None:
    other = totes.write_coco(tmp_path / "other", "val", count=1, labelled=False)
    named = [NamedSource("a", day / "labelled"), NamedSource("b", other)]
    assert JoinedSource(named).split is None
