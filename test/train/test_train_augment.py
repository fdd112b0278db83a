# SPDX-License-Identifier: Apache-2.0
"""Augmentation: boxes and masks follow the pixels exactly through every change."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armseg_ros.errors import ConfigError
from armseg_ros.train import augment
from armseg_ros.train.augment import NO_AUGMENTATION, AugmentSettings
from armseg_ros.train.pictures import IGNORE, Picture
from armseg_ros.types import OBJECT, TOTE

HW = (96, 128)
KEEP_COLOURS = AugmentSettings(colour=0, blur=0, tilt_deg=20)


def coloured_picture(seed: int, hw: tuple[int, int] = (80, 100)) -> Picture:
    """Return rectangles on a tote; the colour of a pixel tells picture and instance."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((1, *hw), np.uint8)
    labels[0, 4:-4, 4:-4] = 1
    for k in range(2, 6):
        y, x = rng.integers(5, hw[0] - 30), rng.integers(5, hw[1] - 30)
        labels[0, y : y + rng.integers(12, 25), x : x + rng.integers(12, 25)] = k
    image = np.stack((labels[0] * 40, np.full(hw, 60 + seed * 40), labels[0] * 10), -1)
    image[labels[0] == 0] = 114
    return Picture(image.astype(np.uint8), labels, np.array([TOTE] + [OBJECT] * 4, np.int32))


def interior(labels: np.ndarray) -> np.ndarray:
    """Mark pixels whose 5x5 neighbourhood carries one label."""
    kernel = np.ones((5, 5), np.uint8)
    framed = cv2.copyMakeBorder(labels, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=254)
    return (cv2.erode(framed, kernel) == cv2.dilate(framed, kernel))[2:-2, 2:-2]


def assert_colours_agree(view: Picture) -> None:
    """Every instance has one colour inside, and no two instances of a view share one."""
    seen = {}
    for k in np.unique(view.labels[0]):
        inside = (view.labels[0] == k) & interior(view.labels[0]) & (k not in (0, IGNORE))
        if inside.any():
            colours = view.image[inside].astype(int)
            assert np.abs(colours - colours[0]).max() <= 2
            seen[int(k)] = tuple(colours[0].tolist())
            is_tote = abs(int(colours[0][0]) - 40) <= 2
            assert (view.class_ids[k - 1] == TOTE) == is_tote
    assert len(set(seen.values())) == len(seen)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_random_warps_move_labels_with_pixels(seed, turned):
    rng = np.random.default_rng(seed)
    picture = coloured_picture(seed % 3)
    shape = (HW[1], HW[0]) if turned else HW
    matrix = augment.random_matrix(rng, picture.hw, shape, KEEP_COLOURS, turned)
    view = augment.warp(picture, matrix, shape)
    assert view.hw == shape
    assert view.labels.shape == (1, *shape)
    assert_colours_agree(view)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_mosaics_keep_four_pictures_apart(seed):
    rng = np.random.default_rng(seed)
    view = augment.mosaic(rng, [coloured_picture(k) for k in range(4)], HW)
    assert len(view.class_ids) == 20
    for k in np.unique(view.labels):
        inside = (view.labels[0] == k) & interior(view.labels[0])
        if k != 0 and inside.any():
            assert np.abs(np.ptp(view.image[inside].astype(int), axis=0)).max() <= 2
            assert abs(int(view.image[inside][0, 1]) - (60 + (int(k) - 1) // 5 * 40)) <= 2


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_pasted_objects_bring_their_pixels_and_hide_what_is_below(seed):
    rng = np.random.default_rng(seed)
    picture, donor = coloured_picture(0), coloured_picture(2)
    view = augment.copy_paste(rng, picture, donor)
    pasted = range(6, len(view.class_ids) + 1)
    assert len(pasted) >= 1
    for k in pasted:
        mask = (view.labels == k).any(0)
        assert view.class_ids[k - 1] == OBJECT
        assert np.array_equal(view.image[mask], donor.image[mask])
        assert (view.labels[:, mask] > 0).sum() == mask.sum()  # nothing else claims the pixels
    untouched = ~np.isin(view.labels, list(pasted)).any(0)
    assert np.array_equal(view.image[untouched], picture.image[untouched])
    assert np.array_equal(view.labels[0][untouched], picture.labels[0][untouched])


def test_a_tote_that_runs_on_beneath_objects_is_not_hidden():
    def stacked(seed: int) -> Picture:
        plain = coloured_picture(seed)
        tote = np.where(plain.labels[0] > 0, 1, 0).astype(np.uint8)
        objects = np.where(plain.labels[0] > 1, plain.labels[0], 0).astype(np.uint8)
        return Picture(plain.image, np.stack((tote, objects)), plain.class_ids)

    view = augment.copy_paste(np.random.default_rng(0), stacked(0), stacked(1))
    assert np.array_equal(view.labels[0], stacked(0).labels[0])
    assert view.labels.max() > 5


def test_a_donor_without_objects_changes_nothing():
    donor = Picture(np.zeros((*HW, 3), np.uint8), np.zeros((1, *HW), np.uint8), np.zeros(0, "i4"))
    picture = coloured_picture(0, HW)
    assert augment.copy_paste(np.random.default_rng(0), picture, donor) is picture


def test_mirror_and_quarter_turn_are_exact():
    picture = coloured_picture(0, (40, 40))
    middle = 39.0
    mirror = np.array([[-1.0, 0, middle], [0, 1, 0]])
    assert np.array_equal(
        augment.warp(picture, mirror, (40, 40)).labels[0], picture.labels[0, :, ::-1]
    )
    turn = np.array([[0.0, -1, middle], [1, 0, 0]])
    turned = augment.warp(picture, turn, (40, 40))
    assert np.array_equal(turned.labels[0], np.rot90(picture.labels[0], -1))
    assert np.array_equal(turned.image, np.rot90(picture.image, -1))


def test_without_augmentation_the_whole_picture_is_shown_as_by_the_letterbox():
    picture = coloured_picture(1, (60, 100))
    rng = np.random.default_rng(0)
    matrix = augment.random_matrix(rng, picture.hw, (96, 128), NO_AUGMENTATION)
    assert matrix[:, :2] == pytest.approx(np.eye(2) * 1.28)
    corners = matrix @ np.array([[-0.5, 99.5], [-0.5, 59.5], [1, 1]])
    assert corners[0] == pytest.approx([-0.5, 127.5])
    assert corners[1] == pytest.approx([-0.5 + 9.6, 95.5 - 9.6])


def test_targets_are_the_extent_of_the_labels():
    labels = np.zeros((2, 40, 40), np.uint8)
    labels[0, 5:15, 8:30] = 1
    labels[1, 10:20, 10:20] = 2  # overlaps the first one in another layer
    labels[0, 30:33, 30:33] = 3  # too small
    picture = Picture(np.zeros((40, 40, 3), np.uint8), labels, np.array([1, 0, 0], np.int32))
    rows, marked = augment.read_targets(picture, min_area_px=20)
    assert rows.tolist() == [[1, 19, 10, 22, 10, 0, 1], [0, 15, 15, 10, 10, 1, 2]]
    assert (marked[0, 30:33, 30:33] == IGNORE).all()
    assert np.array_equal(marked != IGNORE, ~(labels == 3))


def test_no_instance_gives_no_target():
    picture = Picture(np.zeros((32, 32, 3), np.uint8), np.zeros((1, 32, 32), np.uint8), np.zeros(0))
    rows, _ = augment.read_targets(picture, 10)
    assert rows.shape == (0, 7)


def test_colour_changes_keep_shape_and_depend_on_the_seed_alone():
    image = coloured_picture(0).image
    once, again, other = (
        augment.change_colour(np.random.default_rng(s), image, 1.0) for s in (1, 1, 2)
    )
    assert once.shape == image.shape
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert np.array_equal(augment.soften(np.random.default_rng(0), image, 0.0), image)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"augment\.mosaic is 2"):
        AugmentSettings(mosaic=2)
