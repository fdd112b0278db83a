# SPDX-License-Identifier: Apache-2.0
"""Training pictures in memory: resized pixels and label layers that survive any warp exactly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.data.coco import Sample, read_coco
from armseg_ros.data.folder import check_size
from armseg_ros.data.images import check_encoded, decode_image, read_bytes
from armseg_ros.errors import DataError
from armseg_ros.types import Instances, Int32Array, Uint8Array

log = logging.getLogger(__name__)

NOTHING, IGNORE = 0, 255
"""Label values: background, and pixels that are neither object nor background (crowds)."""
MAX_INSTANCES = 254
"""Instance ids are the bytes 1..254."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture with its instances as painted labels.

    Instances that overlap lie in different layers, so nothing is lost; pictures whose masks do not
    overlap have one layer. Boxes and masks are read from the labels after every warp and therefore
    always agree.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (L, H, W) uint8: NOTHING, an instance id 1..N, or IGNORE. Ids are unique over all
            layers.
        class_ids: (N,) int32; instance id k has class ``class_ids[k - 1]``.
    """

    image: Uint8Array
    labels: Uint8Array
    class_ids: Int32Array

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


def paint_layers(truth: Instances, hw: tuple[int, int]) -> Uint8Array:
    """Paint instances into as few layers as first-fit needs.

    Args:
        truth: Instances in source pixels; crowds are painted as IGNORE.
        hw: Size of the picture.

    Returns:
        (L, H, W) uint8 labels, L at least 1. Instances beyond MAX_INSTANCES become IGNORE.
    """
    layers = [np.zeros(hw, np.uint8)]
    for index, mask in enumerate(truth.masks):
        ignored = bool(truth.crowd[index]) or index >= MAX_INSTANCES
        height, width = mask.crop.shape
        window = (slice(mask.y, mask.y + height), slice(mask.x, mask.x + width))
        layer = next((la for la in layers if not la[window][mask.crop].any()), None)
        if layer is None:
            layer = np.zeros(hw, np.uint8)
            layers.append(layer)
        layer[window][mask.crop] = IGNORE if ignored else index + 1
    return np.stack(layers)


def read_picture(sample: Sample) -> Uint8Array:
    """Read the pixels of a sample.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        DataError: The picture cannot be read or has another size than its record says.
    """
    name = str(sample.image_path)
    image = decode_image(read_bytes(sample.image_path), name)
    check_size(image.shape[:2], (sample.height, sample.width), name)
    return image


def check_picture(sample: Sample) -> None:
    """Read a sample's picture file and check its header.

    Raises:
        DataError: As ``read_picture``, but for damage that only decoding tells.
    """
    name = str(sample.image_path)
    header = check_encoded(read_bytes(sample.image_path), name)
    check_size((header.height, header.width), (sample.height, sample.width), name)


def load_picture(sample: Sample, long_side: int) -> Picture:
    """Read one picture and its truth, shrunk so that its longer side is at most ``long_side``.

    Raises:
        DataError: The picture cannot be read or has another size than its record says.
    """
    image = read_picture(sample)
    truth = sample.truth
    labels = paint_layers(truth, (sample.height, sample.width))
    scale = long_side / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(sample.width * scale)), max(1, round(sample.height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        small = [cv2.resize(la, size, interpolation=cv2.INTER_NEAREST_EXACT) for la in labels]
        labels = np.asarray(np.stack(small), np.uint8)
    class_ids = np.array(truth.class_ids[:MAX_INSTANCES], np.int32)
    return Picture(np.ascontiguousarray(image[..., ::-1], np.uint8), labels, class_ids)


class PictureStore:
    """Pictures of a training set, kept in memory once read, up to a limit.

    Args:
        samples: What to load.
        long_side: Longer side in pixels to which larger pictures are shrunk.
        cache_gib: Memory for cached pictures; those beyond it are read from disk every time.
    """

    def __init__(self, samples: Sequence[Sample], long_side: int, cache_gib: float = 8.0) -> None:
        self._samples = tuple(samples)
        self._long_side = long_side
        self._free_bytes = cache_gib * 2**30
        self._cache: dict[int, Picture] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Picture:
        """Return a picture; safe to call from several threads."""
        picture = self._cache.get(index)
        if picture is None:
            picture = load_picture(self._samples[index], self._long_side)
            size = picture.image.nbytes + picture.labels.nbytes
            if self._free_bytes >= size:
                self._free_bytes -= size
                self._cache[index] = picture
        return picture


def read_samples(folders: Sequence[Path], split: str) -> tuple[Sample, ...]:
    """Read one split of several COCO folders.

    Raises:
        DataError: A folder has no such split, or its split holds no picture or no annotation.
    """
    samples: list[Sample] = []
    for folder in folders:
        dataset = read_coco(folder, split)
        if not dataset.samples:
            raise DataError(f"{dataset.path}: holds no picture; add some or name another folder")
        if not any(sample.annotations for sample in dataset.samples):
            raise DataError(
                f"{dataset.path}: holds {len(dataset.samples)} pictures but no annotation; "
                "there is nothing to learn from it or to measure by it"
            )
        samples.extend(dataset.samples)
    return tuple(samples)


def label_values(labels: npt.NDArray[np.uint8]) -> set[int]:
    """Return the instance ids that occur in labels of any shape."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return set(np.flatnonzero(counts).tolist()) - {NOTHING, IGNORE}
