# SPDX-License-Identifier: Apache-2.0
"""Pictures in memory and the batches made of them."""

import cv2
import numpy as np
import pytest

from armseg_ros.data.coco import read_coco
from armseg_ros.errors import DataError
from armseg_ros.masks import tight_mask
from armseg_ros.train.augment import NO_AUGMENTATION, AugmentSettings
from armseg_ros.train.batches import BatchMaker, epoch_indices, stream
from armseg_ros.train.pictures import (
    IGNORE,
    PictureStore,
    load_picture,
    paint_layers,
    read_samples,
)
from armseg_ros.types import Instances


def instances(masks: list[np.ndarray], crowd: list[bool] | None = None) -> Instances:
    count = len(masks)
    return Instances(
        boxes=np.zeros((count, 4), np.float32),
        class_ids=np.zeros(count, np.int32),
        masks=tuple(tight_mask(m) for m in masks),
        crowd=np.array(crowd or [False] * count, bool),
    )


def test_overlapping_instances_get_layers_of_their_own():
    a, b, c = np.zeros((3, 6, 6), bool)
    a[0:4, 0:4], b[2:6, 2:6], c[0:2, 4:6] = True, True, True
    layers = paint_layers(instances([a, b, c]), (6, 6))
    assert layers.shape == (2, 6, 6)
    for k, mask in enumerate((a, b, c)):
        assert np.array_equal((layers == k + 1).any(0), mask)


def test_apart_instances_share_a_layer_and_crowds_are_ignored():
    a, b = np.zeros((2, 6, 6), bool)
    a[0:2], b[3:5] = True, True
    layers = paint_layers(instances([a, b], [False, True]), (6, 6))
    assert layers.shape == (1, 6, 6)
    assert (layers[0, 3:5] == IGNORE).all()
    assert (layers[0, 0:2] == 1).all()


def test_no_instance_gives_one_empty_layer():
    assert not paint_layers(instances([]), (4, 5)).any()


def test_large_pictures_are_shrunk_with_their_labels(totes):
    sample = read_coco(totes, "train").samples[0]
    full, small = load_picture(sample, 1000), load_picture(sample, 80)
    assert full.hw == (sample.height, sample.width)
    assert small.hw == (64, 80)
    for k in range(1, len(full.class_ids) + 1):
        assert (small.labels == k).sum() * 4 == pytest.approx((full.labels == k).sum(), rel=0.15)
    assert np.array_equal(full.image[..., ::-1], cv2.imread(str(sample.image_path)))


def test_store_reads_beyond_its_memory_limit(totes):
    samples = read_samples([totes], "train")
    without = PictureStore(samples, 160, cache_gib=0)
    assert without[0] is not without[0]
    kept = PictureStore(samples, 160)
    assert kept[1] is kept[1]


def test_epochs_show_every_picture_once():
    shown = [i for step in range(7) for i in epoch_indices(14, 4, step, seed=3)]
    assert sorted(shown[:14]) == list(range(14))
    assert sorted(shown[14:]) == list(range(14))
    assert shown[:14] != shown[14:]
    assert shown == [i for step in range(7) for i in epoch_indices(14, 4, step, seed=3)]


def test_a_batch_depends_on_seed_and_step_alone(totes):
    store = PictureStore(read_samples([totes], "train"), 160)
    maker = BatchMaker(store, AugmentSettings(mosaic=0.5, copy_paste=0.5), 3, seed=5)
    ahead = stream(maker, 2, lambda _: (96, 128), workers=2)
    for step in (2, 3, 4):
        batch, again = next(ahead), maker.make(step, (96, 128))
        for name in ("images", "targets", "labels"):
            assert np.array_equal(getattr(batch, name), getattr(again, name))
    ahead.close()
    assert not np.array_equal(maker.make(2, (96, 128)).images, maker.make(3, (96, 128)).images)


def test_batch_shapes_and_labels_agree_with_targets(totes):
    store = PictureStore(read_samples([totes], "train"), 160)
    batch = BatchMaker(store, NO_AUGMENTATION, 2, seed=0).make(0, (128, 160))
    assert batch.images.shape == (2, 128, 160, 3)
    assert batch.labels.shape == (2, 1, 32, 40)
    assert len(batch.targets) == 10
    for picture, _, x, y, width, height, layer, key in batch.targets:
        ys, xs = np.nonzero(batch.labels[int(picture), int(layer)] == key)
        assert abs((xs.min() + xs.max() + 1) * 2 - x) <= 4
        assert abs((ys.min() + ys.max() + 1) * 2 - y) <= 4
        assert (xs.max() - xs.min() + 1) * 4 <= width + 4
        assert (ys.max() - ys.min() + 1) * 4 <= height + 4


def test_a_turned_batch_is_portrait(totes):
    store = PictureStore(read_samples([totes], "train"), 160)
    maker = BatchMaker(store, AugmentSettings(turn=1.0), 1, seed=0)
    assert maker.make(0, (128, 160)).images.shape == (1, 160, 128, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(images=[], annotations=[]), "holds no picture"),
        (lambda d: d.update(annotations=[]), "no annotation"),
        (lambda d: d["categories"][0].update(name="Robot"), "Robot"),
    ],
)
def test_data_without_use_is_refused(changed_totes, change, words):
    folder = changed_totes(change)
    with pytest.raises(DataError, match=words):
        read_samples([folder], "train")


def test_a_record_of_another_size_is_refused(changed_totes):
    folder = changed_totes(lambda d: d["images"][0].update(width=161))
    sample = read_coco(folder, "train").samples[0]
    with pytest.raises(DataError, match="160 wide and 128 high, but its record says 161 and 128"):
        load_picture(sample, 160)


def test_a_missing_picture_is_named(changed_totes):
    folder = changed_totes(lambda d: d["images"][0].update(file_name="gone.png"))
    with pytest.raises(DataError, match=r"gone\.png"):
        load_picture(read_coco(folder, "train").samples[0], 160)
