# SPDX-License-Identifier: Apache-2.0
"""One picture: the same every time, at every size, with labels that agree with it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from armseg_ros.errors import ConfigError
from armseg_ros.synthetic import ToteImage, render_tote

SIZE = (120, 100)


@pytest.fixture(scope="module")
def totes() -> list[ToteImage]:
    return [render_tote(3, index, SIZE) for index in range(5)]


def test_a_picture_depends_on_seed_and_index_alone(totes: list[ToteImage]) -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if threads != 1 else 2)
        again = render_tote(3, 4, SIZE)
    finally:
        cv2.setNumThreads(threads)
    assert again.image.tobytes() == totes[4].image.tobytes()
    assert again.instance_ids.tobytes() == totes[4].instance_ids.tobytes()
    assert again.attributes == totes[4].attributes
    assert again.families == totes[4].families


def test_pictures_differ(totes: list[ToteImage]) -> None:
    other_seed = render_tote(4, 0, SIZE)
    pictures = {tote.image.tobytes() for tote in [*totes, other_seed]}
    assert len(pictures) == len(totes) + 1


def test_shapes_and_types(totes: list[ToteImage]) -> None:
    for tote in totes:
        assert tote.image.shape == (SIZE[1], SIZE[0], 3)
        assert tote.image.dtype == np.uint8
        assert tote.instance_ids.shape == (SIZE[1], SIZE[0])
        assert tote.instance_ids.dtype == np.uint8


def test_labels_are_numbered_without_gaps(totes: list[ToteImage]) -> None:
    for tote in totes:
        count = len(tote.families)
        numbers = set(np.unique(tote.instance_ids).tolist())
        assert numbers - {0} == {1, *range(2, count + 2)}
        assert len(tote.products) == len(tote.visible_fracs) == count
        assert tote.attributes["object_count"] == count
        assert all(0 < share <= 1 for share in tote.visible_fracs)


def test_attributes_are_scalars_to_slice_by(totes: list[ToteImage]) -> None:
    assert {tote.attributes["tote_color"] for tote in totes} == {"blue", "yellow"}
    for index, tote in enumerate(totes):
        assert tote.attributes["seed"] == 3
        assert tote.attributes["index"] == index
        assert 0 <= float(tote.attributes["tote_fill"]) <= 1
        assert all(isinstance(value, str | int | float) for value in tote.attributes.values())


def test_the_tote_has_its_colour(totes: list[ToteImage]) -> None:
    for tote in totes:
        blue, _, red = tote.image[tote.instance_ids == 1].mean(0)
        assert (blue > red) == (tote.attributes["tote_color"] == "blue")


def test_every_size_shows_the_same_scene() -> None:
    small, large = render_tote(3, 1, (240, 200)), render_tote(3, 1, (480, 400))
    assert small.families == large.families
    coarse = large.instance_ids[::2, ::2]
    same = np.mean(small.instance_ids == coarse)
    assert same > 0.96
    gap = np.abs(cv2.resize(large.image, (240, 200)).astype(int) - small.image).mean()
    assert gap < 12


def test_a_picture_is_neither_black_nor_burnt(totes: list[ToteImage]) -> None:
    mean = np.mean([tote.image.mean() for tote in totes])
    assert 35 < mean < 150


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (90, 40), (40, 90)])
def test_small_and_odd_sizes(size: tuple[int, int]) -> None:
    tote = render_tote(0, 0, size)
    assert tote.image.shape == (size[1], size[0], 3)
    assert (tote.instance_ids == 1).any()


@pytest.mark.parametrize(
    ("seed", "index", "size", "words"),
    [
        (-1, 0, SIZE, "seed"),
        (0, -1, SIZE, "index"),
        (0, 0, (31, 100), "31x100"),
        (0, 0, (100, 9000), "100x9000"),
    ],
)
def test_bad_arguments(seed: int, index: int, size: tuple[int, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        render_tote(seed, index, size)
