# SPDX-License-Identifier: Apache-2.0
"""One view of every kind of input: bag, COCO folder or file, picture files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from armseg_ros.data.coco import splits_in
from armseg_ros.data.images import IMAGE_SUFFIXES
from armseg_ros.errors import DataError
from armseg_ros.types import Frame, Instances

BAG_SUFFIXES = (".mcap", ".db3")


class Item(Protocol):
    """One picture of a source; nothing is decoded before it is asked for."""

    @property
    def sample_id(self) -> str:
        """The same in bag, COCO file and report."""

    @property
    def image_id(self) -> int:
        """Number of the picture, unique within the source."""

    @property
    def attributes(self) -> dict[str, Any]:
        """Further fields of the picture's record, such as ``tote_color``."""

    def frame(self) -> Frame:
        """Decode the pixels; ``DataError`` says what is wrong with this one picture."""

    def truth(self) -> Instances | None:
        """Decode the ground truth; None where the picture is not labelled."""

    def content(self) -> bytes:
        """Return the picture as stored, for fingerprints."""


class Source(Protocol):
    """Pictures in a fixed order, with or without ground truth."""

    @property
    def path(self) -> Path:
        """Where it was read from."""

    @property
    def kind(self) -> str:
        """``bag``, ``coco`` or ``images``."""

    @property
    def split(self) -> str | None:
        """``train``, ``val`` or ``test``; None where the source does not say."""

    @property
    def has_truth(self) -> bool:
        """Whether any picture is labelled."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


def open_source(path: Path, split: str | None = None, image_topic: str | None = None) -> Source:
    """Recognise a source by what is there.

    Args:
        path: A rosbag2 folder, ``.mcap`` or ``.db3`` file, a COCO folder or annotation file, a
            folder of pictures (searched in depth), or one picture.
        split: ``train``, ``val`` or ``test``, where a COCO folder holds several.
        image_topic: Topic of the pictures, where a bag holds several cameras.

    Raises:
        DataError: Nothing is there, or it is none of these, or it is damaged as a whole.
    """
    from armseg_ros.data.folder import CocoSource, FolderSource

    if not path.exists():
        raise DataError(f"{path}: no such bag, COCO folder or folder of pictures")
    if path.suffix in BAG_SUFFIXES or (path / "metadata.yaml").is_file():
        return _open_bag(path, split, image_topic)
    if path.suffix == ".json" or splits_in(path):
        return CocoSource(path, split)
    if any(path.glob("*.mcap")) or any(path.glob("*.db3")):
        raise DataError(f"{path}: a bag without metadata.yaml; run 'ros2 bag reindex' on it")
    if split is not None:
        raise DataError(f"{path}: expected {split}.json or a bag, found neither")
    if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: expected a bag, a COCO file or a picture")
    return FolderSource([path])


def _open_bag(path: Path, split: str | None, image_topic: str | None) -> Source:
    from armseg_ros.data.bag import read_bag

    bag = read_bag(path, image_topic)
    if split is not None and split != bag.split:
        raise DataError(f"{path}: holds the split {bag.split or 'of no name'}, not {split}")
    return bag
