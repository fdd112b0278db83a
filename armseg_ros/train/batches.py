# SPDX-License-Identifier: Apache-2.0
"""Batches of augmented views, a pure function of seed and step, prepared ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from armseg_ros.train import augment
from armseg_ros.train.augment import AugmentSettings
from armseg_ros.train.model import PROTOTYPE_STRIDE
from armseg_ros.train.pictures import Picture, PictureStore
from armseg_ros.types import Float32Array, Uint8Array

SizeAt = Callable[[int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Input and truth of one step.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        targets: (n, 8) float32 rows of picture index, class, centre x, centre y, width, height
            (network pixels), label layer, instance id.
        labels: (B, L, H / 4, W / 4) uint8 instance labels at the prototypes' size.
    """

    images: Uint8Array
    targets: Float32Array
    labels: Uint8Array


def epoch_indices(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Choose the pictures of a step: endless shuffled epochs, each its own permutation.

    Args:
        count: Number of pictures.
        batch_size: Pictures per step.
        step: Step number from 0.
        seed: Seed of the run.
    """
    first = step * batch_size
    epochs = {position // count for position in range(first, first + batch_size)}
    orders = {e: np.random.default_rng((seed, e)).permutation(count) for e in epochs}
    return [int(orders[p // count][p % count]) for p in range(first, first + batch_size)]


@dataclass(frozen=True, slots=True)
class BatchMaker:
    """Makes the batch of any step.

    Attributes:
        pictures: Training pictures.
        settings: Augmentation.
        batch_size: Pictures per batch.
        seed: Seed of the run.
    """

    pictures: PictureStore
    settings: AugmentSettings
    batch_size: int
    seed: int

    def make(self, step: int, hw: tuple[int, int]) -> Batch:
        """Make the batch of a step at network size ``hw``; a turned batch is (width, height)."""
        rng = np.random.default_rng((self.seed, step, 1))
        turned = bool(rng.random() < self.settings.turn)
        shape = (hw[1], hw[0]) if turned else hw
        indices = epoch_indices(len(self.pictures), self.batch_size, step, self.seed)
        views = [self._view(rng, index, shape, turned) for index in indices]
        return collate(views, self.settings.min_area_px, rng)

    def _view(
        self, rng: np.random.Generator, index: int, hw: tuple[int, int], turned: bool
    ) -> Picture:
        settings = self.settings
        if rng.random() < settings.mosaic:
            others = rng.integers(len(self.pictures), size=3).tolist()
            view = augment.mosaic(rng, [self.pictures[i] for i in [index, *others]], hw)
        else:
            view = self._plain_view(rng, index, hw, turned)
        if rng.random() < settings.copy_paste:
            donor = int(rng.integers(len(self.pictures)))
            view = augment.copy_paste(rng, view, self._plain_view(rng, donor, hw, turned))
        image = view.image
        if settings.colour > 0:
            image = augment.change_colour(rng, image, settings.colour)
        return Picture(augment.soften(rng, image, settings.blur), view.labels, view.class_ids)

    def _plain_view(
        self, rng: np.random.Generator, index: int, hw: tuple[int, int], turned: bool
    ) -> Picture:
        picture = self.pictures[index]
        matrix = augment.random_matrix(rng, picture.hw, hw, self.settings, turned)
        return augment.warp(picture, matrix, hw)


def collate(views: list[Picture], min_area_px: int, rng: np.random.Generator) -> Batch:
    """Stack views of one size; ``rng`` draws which of the two middle pixels labels are read at.

    A prototype pixel covers 4x4 network pixels and its centre lies between the second and the
    third; drawing one of them keeps the masks unbiased.
    """
    images = np.stack([view.image for view in views])
    depth = max(len(view.labels) for view in views)
    _, height, width, _ = images.shape
    stride = PROTOTYPE_STRIDE
    labels = np.zeros((len(views), depth, height // stride, width // stride), np.uint8)
    rows = []
    for index, view in enumerate(views):
        found, marked = augment.read_targets(view, min_area_px)
        y, x = rng.integers(1, 3, size=2).tolist()
        labels[index, : len(marked)] = marked[:, y::stride, x::stride]
        rows.append(np.column_stack((np.full(len(found), index, np.float32), found)))
    return Batch(images, np.concatenate(rows).astype(np.float32), labels)


def stream(maker: BatchMaker, first_step: int, size_at: SizeAt, workers: int) -> Iterator[Batch]:
    """Yield the batches of ``first_step`` and all later steps, prepared ahead in threads.

    Args:
        maker: Makes the batches.
        first_step: Step to begin with.
        size_at: Network height and width of a step.
        workers: Threads; OpenCV releases the interpreter lock.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[Batch]] = deque()
    try:
        step = first_step
        while True:
            while len(waiting) < 2 * workers + 1:
                waiting.append(pool.submit(maker.make, step, size_at(step)))
                step += 1
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
