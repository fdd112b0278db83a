# SPDX-License-Identifier: Apache-2.0
"""COCO folder to bag and back: pictures byte for byte, ground truth pixel for pixel."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import bags
import numpy as np
import pytest
import totes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rosbags.rosbag2 import Reader

from armseg_ros.data.bag import STORAGES, extract_coco, read_bag, write_bag_from_coco
from armseg_ros.data.bag.messages import truth_from_message
from armseg_ros.data.coco import read_coco
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError
from armseg_ros.types import Instances, Mask


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_everything_survives(tmp_path: Path, storage: str) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    assert write_bag_from_coco(folder, "test", tmp_path / "bag", storage) == 4
    bag = read_bag(tmp_path / "bag")
    assert (len(bag), bag.split, bag.has_truth) == (4, "test", True)
    originals = list(open_source(folder))
    stamps = []
    for item, original in zip(bag, originals, strict=True):
        assert item.sample_id == original.sample_id
        assert item.image_id == original.image_id
        assert item.attributes == original.attributes
        assert item.content() == original.content()
        np.testing.assert_array_equal(item.frame().image, original.frame().image)
        assert item.frame().frame_id == "tote_camera"
        totes.assert_same_instances(item.truth(), original.truth())
        stamps.append(item.frame().stamp_ns)
    assert all(earlier < later for earlier, later in itertools.pairwise(stamps))


def test_back_to_a_folder(tmp_path: Path, storage: str) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    totes.edit_json(folder / "test.json", lambda d: d["annotations"][3].update(iscrowd=1))
    write_bag_from_coco(folder, "test", tmp_path / "bag", storage)
    assert extract_coco(tmp_path / "bag", tmp_path / "back") == 4
    before, after = (read_coco(path, "test").samples for path in (folder, tmp_path / "back"))
    for old, new in zip(before, after, strict=True):
        assert (old.sample_id, old.image_id, old.attributes) == (
            new.sample_id, new.image_id, new.attributes,
        )  # fmt: skip
        assert old.image_path.read_bytes() == new.image_path.read_bytes()
        totes.assert_same_instances(old.truth, new.truth)
        assert all(np.isfinite(r["area"]) and len(r["bbox"]) == 4 for r in new.annotations)


def test_unlabelled_is_not_empty(tmp_path: Path, storage: str) -> None:
    """A picture labelled as empty has truth of no instance; an unlabelled one has no truth."""
    folder = totes.write_coco(tmp_path / "unlabelled", labelled=False)
    write_bag_from_coco(folder, None, tmp_path / "a", storage)
    assert [item.truth() for item in read_bag(tmp_path / "a")] == [None] * 4
    assert not read_bag(tmp_path / "a").has_truth
    assert [item.sample_id for item in read_bag(tmp_path / "a")][1] == "cell_1/001.jpg"
    extract_coco(tmp_path / "a", tmp_path / "a_back")
    assert not read_coco(tmp_path / "a_back").has_truth

    folder = totes.write_coco(tmp_path / "empty", count=1)
    totes.edit_json(folder / "test.json", lambda d: d["annotations"].clear())
    write_bag_from_coco(folder, None, tmp_path / "b", storage)
    (item,) = read_bag(tmp_path / "b")
    found = item.truth()
    assert found is not None
    assert len(found) == 0
    extract_coco(tmp_path / "b", tmp_path / "b_back")
    assert read_coco(tmp_path / "b_back").has_truth


def test_the_same_folder_gives_the_same_bag(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    for name in ("one", "two"):
        write_bag_from_coco(folder, "test", tmp_path / name / "bag")
    first, second = (tmp_path / name / "bag/bag.mcap" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_topics_types_and_quality_of_service(tmp_path: Path, storage: str) -> None:
    write_bag_from_coco(totes.write_coco(tmp_path / "c"), "test", tmp_path / "bag", storage)
    with Reader(tmp_path / "bag") as reader:
        assert {c.topic: (c.msgtype, c.msgcount) for c in reader.connections} == {
            "/image/compressed": ("sensor_msgs/msg/CompressedImage", 4),
            "/ground_truth": ("armseg_ros/msg/InstanceArray", 4),
            "/sample_info": ("std_msgs/msg/String", 4),
        }
        for connection in reader.connections:
            (profile,) = connection.ext.offered_qos_profiles
            assert (profile.reliability.name, profile.durability.name) == ("RELIABLE", "VOLATILE")
        times = [time for _, time, _ in reader.messages()]
    assert len(set(times)) == 4


def test_png_pictures_are_named_so(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "coco", suffix=".png", count=1)
    write_bag_from_coco(folder, "test", tmp_path / "bag")
    (item,) = read_bag(tmp_path / "bag")
    assert item.encoded
    assert item._image.format == "png"


def test_an_existing_bag_is_not_touched(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    (tmp_path / "bag").mkdir()
    with pytest.raises(DataError, match="bag exists already"):
        write_bag_from_coco(folder, "test", tmp_path / "bag")
    assert list((tmp_path / "bag").iterdir()) == []


def test_an_existing_split_is_not_touched(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    write_bag_from_coco(folder, "test", tmp_path / "bag")
    with pytest.raises(DataError, match=r"test\.json exists already"):
        extract_coco(tmp_path / "bag", folder)
    assert extract_coco(tmp_path / "bag", folder, "val") == 4  # the same pictures may be there
    (folder / "images/cell_0/000.jpg").write_bytes(b"another picture")
    (folder / "val.json").unlink()
    with pytest.raises(DataError, match=r"000\.jpg exists already and is another picture"):
        extract_coco(tmp_path / "bag", folder, "val")


def _wrong_size(document: dict[str, Any]) -> None:
    document["images"][3]["width"] = 65


def _wrong_mask(document: dict[str, Any]) -> None:
    document["annotations"][-1]["segmentation"] = {"size": [1, 1], "counts": [1]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(_wrong_size, "003.jpg is 64 wide and 48 high, but"), (_wrong_mask, "of cell_1/003.jpg")],
)
def test_a_fault_leaves_nothing_behind(tmp_path: Path, change: Any, sentence: str) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    totes.edit_json(folder / "test.json", change)
    with pytest.raises(DataError, match=sentence):
        write_bag_from_coco(folder, "test", tmp_path / "bags/bag")
    assert list((tmp_path / "bags").iterdir()) == []


def test_a_picture_that_is_cut_short_is_not_packed(tmp_path: Path) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    path = folder / "images/cell_0/002.jpg"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"002\.jpg is cut short"):
        write_bag_from_coco(folder, "test", tmp_path / "bag")


def test_no_pictures_and_no_such_storage(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(DataError, match="lists no pictures"):
        write_bag_from_coco(tmp_path, "test", tmp_path / "bag")
    with pytest.raises(DataError, match="storage is 'leveldb', but must be mcap or sqlite3"):
        write_bag_from_coco(tmp_path, "test", tmp_path / "bag", "leveldb")


@st.composite
def any_truth(draw: st.DrawFn) -> tuple[Instances, tuple[int, int]]:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    masks = []
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        shape = st.tuples(st.integers(0, height - y), st.integers(0, width - x))
        masks.append(Mask(draw(hnp.arrays(np.bool_, shape)), x, y))
    count = len(masks)
    instances = totes.instances(
        masks,
        draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)),
        draw(st.lists(st.booleans(), min_size=count, max_size=count)),
    )
    return instances, (height, width)


@settings(max_examples=60, deadline=None)  # machines in use are slow at times
@given(any_truth(), st.integers(0, 2**31 * 10**9 - 1))
def test_any_truth_survives_the_wire(
    made: tuple[Instances, tuple[int, int]], stamp_ns: int
) -> None:
    instances, hw = made
    name = "armseg_ros/msg/InstanceArray"
    wire = bags.STORE.serialize_cdr(bags.truth(stamp_ns, instances, hw, "täst/1.jpg"), name)
    message: Any = bags.STORE.deserialize_cdr(wire, name)
    assert message.sample_id == "täst/1.jpg"
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp_ns
    assert [m.mask.area for m in message.instances] == [m.area for m in instances.masks]
    back = truth_from_message(message, "x")
    np.testing.assert_array_equal(back.boxes, instances.boxes)
    np.testing.assert_array_equal(back.class_ids, instances.class_ids)
    np.testing.assert_array_equal(back.crowd, instances.crowd)
    for before, after in zip(instances.masks, back.masks, strict=True):
        np.testing.assert_array_equal(before.crop, after.crop)
        assert (before.x, before.y) == (after.x, after.y)
