# SPDX-License-Identifier: Apache-2.0
"""Pictures on disk as a source: a COCO split, or plain files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from armseg_ros.data.coco import SPLITS, Sample, read_coco
from armseg_ros.data.images import IMAGE_SUFFIXES, decode_image, read_bytes
from armseg_ros.errors import DataError
from armseg_ros.types import Frame, Instances


@dataclass(frozen=True, slots=True, eq=False)
class FileItem:
    """One picture file.

    Attributes:
        sample_id: Its name relative to the folder that was given.
        image_id: 1..N in the order of the source.
        path: The file.
    """

    sample_id: str
    image_id: int
    path: Path

    @property
    def attributes(self) -> dict[str, Any]:
        """Nothing is known about a bare file."""
        return {}

    def frame(self) -> Frame:
        """Decode the picture."""
        return Frame(decode_image(self.content(), str(self.path)), sample_id=self.sample_id)

    def truth(self) -> Instances | None:
        """Give None: a bare file is not labelled."""
        return None

    def content(self) -> bytes:
        """Return the file as it is."""
        return read_bytes(self.path)


class FolderSource:
    """Picture files and folders, in sorted order.

    Folders are searched in depth. A sample id is the name relative to its folder; where two
    folders hold the same name, the folders' own names come before it; names that are still equal,
    because their bytes are no text, are numbered.
    """

    kind = "images"
    split = None
    has_truth = False

    def __init__(self, paths: Sequence[Path]) -> None:
        """List the files.

        Raises:
            DataError: A path does not exist, is no picture, or holds none.
        """
        self.path = paths[0]
        found = [entry for path in paths for entry in _list_pictures(path)]
        once = {file.absolute(): (name, file) for name, file in found}
        names = [name for name, _ in once.values()]
        files = [file for _, file in once.values()]
        if len(set(names)) < len(names):
            names = _made_unique([_as_text(file) for file in files])
        self._items = [
            FileItem(name, number, file)
            for number, (name, file) in enumerate(zip(names, files, strict=True), 1)
        ]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[FileItem]:
        return iter(self._items)


def _made_unique(names: list[str]) -> list[str]:
    """Number names that are equal: bytes that are no text all become the same character."""
    out: dict[str, None] = {}
    taken = set(names)
    for name in names:
        path, chosen, number = PurePosixPath(name), name, 1
        while chosen in out or (number > 1 and chosen in taken):
            number += 1
            chosen = str(path.with_stem(f"{path.stem}_{number}"))
        out[chosen] = None
    return list(out)


def _list_pictures(path: Path) -> list[tuple[str, Path]]:
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
        )
        if not files:
            raise DataError(f"{path}: no picture ({', '.join(IMAGE_SUFFIXES)}) in this folder")
        return [(_as_text(file.relative_to(path)), file) for file in files]
    if not path.exists():
        raise DataError(f"{path}: no such picture or folder")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: expected a picture ({', '.join(IMAGE_SUFFIXES)})")
    return [(_as_text(Path(path.name)), path)]


def _as_text(path: Path) -> str:
    """Name a file in text that can be written anywhere; file systems allow bytes that are none."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, eq=False)
class CocoItem:
    """One picture of a COCO split.

    Attributes:
        sample: Its record.
        labelled: False where the file has no annotations at all.
    """

    sample: Sample
    labelled: bool

    @property
    def sample_id(self) -> str:
        """``file_name`` of the record."""
        return self.sample.sample_id

    @property
    def image_id(self) -> int:
        """``id`` of the record."""
        return self.sample.image_id

    @property
    def attributes(self) -> dict[str, Any]:
        """Further fields of the record."""
        return self.sample.attributes

    def frame(self) -> Frame:
        """Decode the picture and hold its size against the record."""
        image = decode_image(self.content(), str(self.sample.image_path))
        check_size(image.shape[:2], (self.sample.height, self.sample.width), self.sample_id)
        return Frame(image, sample_id=self.sample_id)

    def truth(self) -> Instances | None:
        """Decode the annotations; None in a file without any."""
        return self.sample.truth if self.labelled else None

    def content(self) -> bytes:
        """Return the picture file as it is."""
        return read_bytes(self.sample.image_path)


class CocoSource:
    """One split of a COCO folder, in the order of its file."""

    kind = "coco"

    def __init__(self, path: Path, split: str | None = None) -> None:
        """Read the annotation file; see ``read_coco`` for what it raises."""
        self._dataset = read_coco(path, split)
        self.path = path
        stem = self._dataset.path.stem
        self.split = stem if stem in SPLITS else None
        self.has_truth = self._dataset.has_truth

    def __len__(self) -> int:
        return len(self._dataset.samples)

    def __iter__(self) -> Iterator[CocoItem]:
        return (CocoItem(sample, self._dataset.has_truth) for sample in self._dataset.samples)


def check_size(found: tuple[int, ...], declared: tuple[int, ...], sample_id: str) -> None:
    """Raise ``DataError`` where a picture is not as large as its record says."""
    if found != declared:
        raise DataError(
            f"{sample_id} is {found[1]} wide and {found[0]} high, but its record says "
            f"{declared[1]} and {declared[0]}; mend the record or the picture"
        )
