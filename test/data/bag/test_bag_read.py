# SPDX-License-Identifier: Apache-2.0
"""Bags of other makes: raw images, missing parts, damage; real bags, written here."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import bags
import cv2
import numpy as np
import pytest
import totes
from rosbags.rosbag2 import StoragePlugin, Writer

from armseg_ros.data.bag import extract_coco, read_bag, write_bag_from_coco
from armseg_ros.data.coco import read_coco
from armseg_ros.errors import DataError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TRUTH = "armseg_ros/msg/InstanceArray"
PIXELS = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
ONE = totes.instances([totes.box_mask(1, 2, 3, 4)], [0])
SECOND = 10**9


def pictures(count: int = 3) -> list[bags.Message]:
    return [
        ("/image/compressed", COMPRESSED, n * SECOND, bags.compressed(n * SECOND + 5))
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8"])
def test_raw_images(tmp_path: Path, storage: str, encoding: str) -> None:
    pixels = {"bgr8": PIXELS, "rgb8": PIXELS[..., ::-1], "mono8": PIXELS[..., :1]}[encoding]
    message = bags.raw(7 * SECOND, np.ascontiguousarray(pixels), encoding)
    path = bags.write(tmp_path / "bag", [("/camera/image_raw", IMAGE, 0, message)], storage)
    (item,) = read_bag(path)
    expected = np.dstack([PIXELS[..., 0]] * 3) if encoding == "mono8" else PIXELS
    np.testing.assert_array_equal(item.frame().image, expected)
    assert item.sample_id == f"stamp_{7 * SECOND}"
    assert item.frame().frame_id == "camera"
    assert not item.encoded
    assert item.truth() is None


@pytest.mark.parametrize("said", ["bgr8; jpeg compressed bgr8", "jpg", "", "png"])
def test_the_bytes_say_what_file_a_picture_is(tmp_path: Path, said: str) -> None:
    """image_transport writes a sentence as format, other drivers write what they like."""
    encoded = bytes(cv2.imencode(".jpg", PIXELS)[1])
    message = bags.compressed(5, data=encoded)
    message.format = said
    path = bags.write(tmp_path / "bag", [("/camera/compressed", COMPRESSED, 0, message)])
    assert extract_coco(path, tmp_path / "out") == 1
    (picture,) = (tmp_path / "out/images").iterdir()
    assert picture.name == "stamp_5.jpg"
    assert picture.read_bytes() == encoded


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a"])
def test_raw_images_are_kept_exactly_and_known_again(tmp_path: Path, name: str) -> None:
    messages = [
        ("/image", IMAGE, 0, bags.raw(SECOND, PIXELS)),
        ("/ground_truth", TRUTH, 0, bags.truth(SECOND, ONE, (6, 8), name)),
    ]
    path = bags.write(tmp_path / "bag", messages)
    for split in ("train", "val"):
        assert extract_coco(path, tmp_path / "out", split) == 1
    (picture,) = (tmp_path / "out/images").iterdir()
    np.testing.assert_array_equal(cv2.imread(str(picture)), PIXELS)
    cv2.imwrite(str(picture), PIXELS[::-1])
    with pytest.raises(DataError, match="is another picture"):
        extract_coco(path, tmp_path / "out", "test")


def test_raw_images_become_png_files(tmp_path: Path) -> None:
    messages = [
        ("/image", IMAGE, 0, bags.raw(SECOND, PIXELS)),
        ("/ground_truth", TRUTH, 0, bags.truth(SECOND, ONE, (6, 8), "a/b")),
    ]
    assert extract_coco(bags.write(tmp_path / "bag", messages), tmp_path / "out") == 1
    (sample,) = read_coco(tmp_path / "out", "test").samples
    assert sample.sample_id == "a/b.png"
    totes.assert_same_instances(sample.truth, ONE)


def test_truth_is_matched_by_stamp_not_by_order(tmp_path: Path) -> None:
    two = totes.instances([totes.box_mask(0, 0, 2, 2)] * 2, [0, 1])
    messages = [
        *pictures(3),
        ("/ground_truth", TRUTH, 50 * SECOND, bags.truth(3 * SECOND + 5, two, (6, 8), "third")),
        ("/ground_truth", TRUTH, 51 * SECOND, bags.truth(1 * SECOND + 5, ONE, (6, 8), "first")),
    ]
    bag = read_bag(bags.write(tmp_path / "bag", messages))
    items = list(bag)
    assert [item.sample_id for item in items] == ["first", f"stamp_{2 * SECOND + 5}", "third"]
    truths = [item.truth() for item in items]
    assert [None if t is None else len(t) for t in truths] == [1, None, 2]
    assert len({item.image_id for item in items}) == 3


def test_a_mixed_bag_gives_its_labelled_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = ("/ground_truth", TRUTH, 0, bags.truth(2 * SECOND + 5, ONE, (6, 8), "two"))
    path = bags.write(tmp_path / "bag", [*pictures(3), truth])
    assert extract_coco(path, tmp_path / "out", "val") == 1
    assert "left out 2 pictures without ground truth" in caplog.text


def test_no_definitions_in_the_bag(tmp_path: Path) -> None:
    """As ROS 2 Humble records to sqlite3: the types must come from here."""
    messages = [
        *pictures(1),
        ("/ground_truth", TRUTH, 0, bags.truth(SECOND + 5, ONE, (6, 8), "one")),
    ]
    path = bags.write(tmp_path / "bag", messages, "sqlite3")
    with sqlite3.connect(path / "bag.db3") as database:
        database.execute("DROP TABLE message_definitions")
        database.execute("UPDATE schema SET schema_version = 3")
    (item,) = read_bag(path)
    totes.assert_same_instances(item.truth(), ONE)


def test_a_storage_file_alone(tmp_path: Path) -> None:
    write_bag_from_coco(totes.write_coco(tmp_path / "c"), "test", tmp_path / "bag")
    bag = read_bag(tmp_path / "bag/bag.mcap")
    assert (len(bag), bag.split, bag.has_truth) == (4, None, True)


def test_repeated_stamps_without_truth(tmp_path: Path) -> None:
    """A camera that does not set the stamp: pictures stay apart."""
    messages = [("/image", IMAGE, n, bags.raw(0, PIXELS)) for n in range(3)]
    items = list(read_bag(bags.write(tmp_path / "bag", messages)))
    assert len({item.sample_id for item in items}) == len({item.image_id for item in items}) == 3
    assert [item.frame().hw for item in items] == [(6, 8)] * 3


def test_repeated_stamps_with_truth(tmp_path: Path) -> None:
    messages = [("/image", IMAGE, n, bags.raw(5, PIXELS)) for n in range(2)]
    messages.append(("/ground_truth", TRUTH, 3, bags.truth(5, ONE, (6, 8))))
    first, second = read_bag(bags.write(tmp_path / "bag", messages))
    totes.assert_same_instances(first.truth(), ONE)
    assert second.truth() is None
    with pytest.raises(DataError, match="picture 2 of /image has the stamp of an earlier one"):
        second.frame()


def test_topics_are_chosen_by_name(tmp_path: Path) -> None:
    messages = [
        ("/left", IMAGE, 0, bags.raw(1, PIXELS)),
        ("/right", IMAGE, 0, bags.raw(2, PIXELS)),
        ("/labels", TRUTH, 0, bags.truth(2, ONE, (6, 8))),
    ]
    path = bags.write(tmp_path / "bag", messages)
    with pytest.raises(DataError, match=r"several image topics, name one of /left .*, /right"):
        read_bag(path)
    bag = read_bag(path, "/right", "/labels")
    totes.assert_same_instances(next(iter(bag)).truth(), ONE)
    with pytest.raises(DataError, match=r"no topic /up; .* topics are /labels, /left, /right"):
        read_bag(path, "/up")
    with pytest.raises(DataError, match="topic /labels is a armseg_ros/msg/InstanceArray, expe"):
        read_bag(path, "/labels")
    with pytest.raises(DataError, match="topic /left is a sensor_msgs/msg/Image, expected armseg"):
        read_bag(path, "/right", "/left")


def test_no_image_topic(tmp_path: Path) -> None:
    truth = ("/ground_truth", TRUTH, 0, bags.truth(1, ONE, (6, 8)))
    with pytest.raises(DataError, match=r"bag: no image topic, only /ground_truth"):
        read_bag(bags.write(tmp_path / "bag", [truth]))


def test_an_image_topic_without_pictures(tmp_path: Path) -> None:
    path = bags.write(tmp_path / "bag", [], empty=[("/image/compressed", COMPRESSED)])
    with pytest.raises(DataError, match="bag: topic /image/compressed holds no pictures"):
        read_bag(path)


def test_a_bag_without_topics(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image topic, only nothing at all"):
        read_bag(bags.write(tmp_path / "bag", []))


def test_an_older_instance_array(tmp_path: Path) -> None:
    definition = "std_msgs/Header header\nstring sample_id\n"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            "/ground_truth", TRUTH, msgdef=definition, rihs01="RIHS01_" + "0" * 64
        )
        writer.write(connection, 0, b"\0\1\0\0")
    with pytest.raises(DataError, match=r"InstanceArray lacks image_height, .* another version"):
        read_bag(tmp_path / "bag")


def read_everything(path: Path, seen: list[int]) -> None:
    for item in read_bag(path):
        seen.append(item.frame().stamp_ns)


def _damaged(path: Path, storage: str, damage: str) -> None:
    """Damage a bag of four pictures."""
    file = path / ("bag.mcap" if storage == "mcap" else "bag.db3")
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "emptied":
        file.write_bytes(b"")
    elif damage == "missing":
        file.unlink()
    elif damage == "noise":
        file.write_bytes(np.random.default_rng(0).bytes(len(content)))
    else:
        (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [1, 2\n")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "missing", "noise", "metadata"])
def test_damage_is_one_sentence_that_names_the_bag(
    tmp_path: Path, storage: str, damage: str
) -> None:
    folder = totes.write_coco(tmp_path / "coco", count=12)
    write_bag_from_coco(folder, "test", tmp_path / "bag", storage)
    _damaged(tmp_path / "bag", storage, damage)
    with pytest.raises(DataError, match=str(tmp_path / "bag")) as raised:
        read_everything(tmp_path / "bag", [])
    assert "mend it" in str(raised.value)


def test_damaged_pages_break_off_after_good_pictures(tmp_path: Path) -> None:
    """What stands before the damage is read; then one error says how far it went."""
    messages = [
        ("/image", IMAGE, n, bags.raw(n, np.full((60, 80, 3), n, np.uint8))) for n in range(1, 9)
    ]
    path = bags.write(tmp_path / "bag", messages, "sqlite3")
    file = path / "bag.db3"
    content = bytearray(file.read_bytes())
    content[4096 * 20 : 4096 * 22] = b"\xff" * 8192
    file.write_bytes(bytes(content))
    seen: list[int] = []
    with pytest.raises(DataError, match=r"damaged after \d+ messages of /image"):
        read_everything(path, seen)
    assert 0 < len(seen) < 8


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("told", [2, 6])
def test_a_wrong_count_is_told_after_all_pictures(tmp_path: Path, storage: str, told: int) -> None:
    path = bags.write(tmp_path / "bag", pictures(4), storage)
    metadata = path / "metadata.yaml"
    text = metadata.read_text()
    assert "message_count: 4" in text
    metadata.write_text(text.replace("message_count: 4", f"message_count: {told}"))
    seen: list[int] = []
    with pytest.raises(DataError, match=rf"bag: .* counts {told} pictures .* storage holds 4"):
        read_everything(path, seen)
    assert len(seen) == 4


def test_truth_without_its_picture_is_told(tmp_path: Path) -> None:
    truths = [
        ("/ground_truth", TRUTH, n, bags.truth(n * SECOND + 5, ONE, (6, 8))) for n in (1, 2, 3)
    ]
    seen: list[int] = []
    with pytest.raises(DataError, match=r"2 messages of /ground_truth have no .* first 2000000005"):
        read_everything(bags.write(tmp_path / "bag", [*pictures(1), *truths]), seen)
    assert seen == [SECOND + 5]


def test_truth_of_a_picture_that_does_not_deserialize_is_not_alone(tmp_path: Path) -> None:
    messages = [
        ("/image/compressed", COMPRESSED, 0, b"\0\1\0\0"),
        ("/ground_truth", TRUTH, 0, bags.truth(SECOND, ONE, (6, 8))),
    ]
    (item,) = read_bag(bags.write(tmp_path / "bag", messages))
    assert "does not deserialize" in item.fault


@pytest.mark.parametrize("wire", [b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 40])
def test_a_message_that_does_not_deserialize_is_one_fault(tmp_path: Path, wire: bytes) -> None:
    messages = [*pictures(2)]
    messages.insert(1, ("/image/compressed", COMPRESSED, SECOND + 1, wire))
    items = list(read_bag(bags.write(tmp_path / "bag", messages)))
    assert [item.frame().hw for item in (items[0], items[2])] == [(6, 8)] * 2
    with pytest.raises(DataError, match="message 2 of /image/compressed does not deserialize"):
        items[1].frame()
    assert items[1].content() == b""


def test_a_truth_that_does_not_deserialize_is_a_fault_of_the_bag(tmp_path: Path) -> None:
    messages = [*pictures(1), ("/ground_truth", TRUTH, 0, b"\0\1\0\0\1\2\3")]
    with pytest.raises(DataError, match="bag: message 1 of /ground_truth does not deserialize"):
        read_bag(bags.write(tmp_path / "bag", messages))


def test_two_truths_of_one_stamp(tmp_path: Path) -> None:
    truth = ("/ground_truth", TRUTH, 0, bags.truth(SECOND + 5, ONE, (6, 8)))
    with pytest.raises(DataError, match="message 2 of /ground_truth has the stamp of an earlier"):
        read_bag(bags.write(tmp_path / "bag", [*pictures(1), truth, truth]))


def test_joined_recordings_are_numbered_anew(tmp_path: Path) -> None:
    """Two splits in one bag have records of the same number; pictures must stay apart."""
    kind = "std_msgs/msg/String"
    text = bags.STORE.types[kind]
    records = [
        json.dumps({"stamp_ns": n * SECOND + 5, "sample_id": f"{n}.png", "image_id": 7})
        for n in (1, 2)
    ]
    messages = [*pictures(3), *(("/sample_info", kind, 0, text(data=r)) for r in records)]
    items = list(read_bag(bags.write(tmp_path / "bag", messages)))
    assert [item.sample_id for item in items[:2]] == ["1.png", "2.png"]
    assert len({item.image_id for item in items}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"stamp_ns": 1, "sample_id": 5, "image_id": 1}',
        '{"stamp_ns": 1, "sample_id": "a", "image_id": 9223372036854775808}',
    ],
)
def test_a_wrong_sample_record(tmp_path: Path, text: str) -> None:
    record = bags.STORE.types["std_msgs/msg/String"](data=text)
    messages = [*pictures(1), ("/sample_info", "std_msgs/msg/String", 0, record)]
    with pytest.raises(DataError, match="/sample_info is not a sample record"):
        read_bag(bags.write(tmp_path / "bag", messages))


def test_pictures_that_do_not_decode_are_single_faults(tmp_path: Path) -> None:
    good = bags.compressed(1).data.tobytes()
    bomb = bytearray(good)
    bomb[16:24] = b"\0\1\0\0" * 2
    faults = {
        2: (bags.compressed(2, data=b"no picture"), "is not a JPEG"),
        3: (bags.compressed(3, data=good[:-20]), "is cut short"),
        4: (bags.compressed(4, data=bytes(bomb)), "more than the 100 million"),
        5: (bags.compressed(5, data=b""), "is empty"),
    }
    messages = [("/image", COMPRESSED, stamp, message) for stamp, (message, _) in faults.items()]
    for item in read_bag(bags.write(tmp_path / "bag", messages)):
        with pytest.raises(DataError, match=f"{item.sample_id}.*{faults[item.stamp_ns][1]}"):
            item.frame()


def test_a_picture_that_disagrees_with_its_truth(tmp_path: Path) -> None:
    truth = ("/ground_truth", TRUTH, 0, bags.truth(SECOND + 5, ONE, (60, 80), "cell/1.jpg"))
    (item,) = read_bag(bags.write(tmp_path / "bag", [*pictures(1), truth]))
    with pytest.raises(
        DataError, match=r"cell/1.jpg is 8 wide and 6 high, but its record says 80 and 60"
    ):
        item.frame()


def test_a_step_that_disagrees(tmp_path: Path) -> None:
    message = ("/image", IMAGE, 0, bags.raw(5, PIXELS, step=23))
    (item,) = read_bag(bags.write(tmp_path / "bag", [message]))
    with pytest.raises(DataError, match="stamp_5 is 6x8 bgr8, which needs a step of at least 24"):
        item.frame()


def _change(name: str, value: Any) -> Any:
    def change(message: Any) -> None:
        target = message.instances[0]
        if name in ("x_offset", "width", "counts"):
            target = target.mask
        setattr(target, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_change("x_min", float("nan")), "instance 0: box .* is not finite"),
        (_change("class_id", 9), "instance 0: class 9, known are"),
        (_change("x_offset", 7), r"mask of 4x3 at \(7, 2\) leaves the 6x8 picture"),
        (_change("width", 2**32 - 1), "leaves the 6x8 picture"),
        (_change("counts", np.frombuffer(b"00", np.uint8)), "run-lengths add up to 0"),
        (_change("counts", np.frombuffer(b"\xff\xff", np.uint8)), "hold the byte 255"),
    ],
)
def test_a_wrong_truth_is_one_fault(tmp_path: Path, change: Any, sentence: str) -> None:
    message = bags.truth(SECOND + 5, ONE, (6, 8), "cell/1.jpg")
    change(message)
    messages = [*pictures(1), ("/ground_truth", TRUTH, 0, message)]
    (item,) = read_bag(bags.write(tmp_path / "bag", messages))
    with pytest.raises(DataError, match=sentence) as raised:
        item.truth()
    assert "ground truth of cell/1.jpg" in str(raised.value)


@pytest.mark.parametrize("name", ["", "two\nlines"])
def test_a_name_that_cannot_be_one_becomes_the_stamp(tmp_path: Path, name: str) -> None:
    messages = [
        *pictures(1),
        ("/ground_truth", TRUTH, 0, bags.truth(SECOND + 5, ONE, (6, 8), name)),
    ]
    (item,) = read_bag(bags.write(tmp_path / "bag", messages))
    assert item.sample_id == f"stamp_{SECOND + 5}"


def test_a_truth_of_no_size(tmp_path: Path) -> None:
    message = bags.truth(SECOND + 5, totes.instances([], []), (0, 0), "a")
    messages = [*pictures(1), ("/ground_truth", TRUTH, 0, message)]
    (item,) = read_bag(bags.write(tmp_path / "bag", messages))
    with pytest.raises(DataError, match="declares a picture of 0x0"):
        item.truth()


@pytest.mark.parametrize("name", ["../../outside.png", "/outside.png", "link/outside.png"])
def test_names_in_a_bag_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "out/images").mkdir(parents=True)
    (tmp_path / "out/images/link").symlink_to(tmp_path)
    truth = ("/ground_truth", TRUTH, 0, bags.truth(SECOND + 5, ONE, (6, 8), name))
    path = bags.write(tmp_path / "bag", [*pictures(1), truth])
    with pytest.raises(DataError, match="leaves the folder"):
        extract_coco(path, tmp_path / "out")
    assert not list(tmp_path.glob("outside*"))
