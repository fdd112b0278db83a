# SPDX-License-Identifier: Apache-2.0
"""Several sources as one: many bags, found by folder or pattern, each under a name of its own."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import splits_in
from armseg_ros.data.source import BAG_SUFFIXES, Item, Source, open_source
from armseg_ros.errors import DataError
from armseg_ros.types import Frame, Instances


@dataclass(frozen=True, slots=True)
class NamedSource:
    """One of several sources.

    Attributes:
        name: Unique among them; stands before the sample ids, with a slash.
        path: Where it is.
    """

    name: str
    path: Path


def find_sources(given: Sequence[str | Path]) -> tuple[NamedSource, ...]:
    """List the sources that are meant.

    Args:
        given: Sources as ``open_source`` takes them, folders that hold bags or COCO folders at any
            depth, and patterns such as ``day_*/*.mcap`` where the shell did not expand them.

    Returns:
        Each source once, in the order given and sorted within a folder or pattern.

    Raises:
        DataError: Something given does not exist, or nothing was given.
    """
    paths: dict[Path, None] = {}
    for entry in given:
        for path in _expand(Path(entry)):
            paths.update(dict.fromkeys(_sources_in(path)))
    if not paths:
        raise DataError("no source was given; name a bag, a COCO folder or a folder of them")
    return tuple(NamedSource(name, path) for name, path in zip(_names(paths), paths, strict=True))


def _expand(path: Path) -> list[Path]:
    if path.exists():
        return [path]
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - patterns from the root
    if not found:
        raise DataError(f"{path}: no such bag, COCO folder or folder of pictures")
    return [Path(name) for name in found]


def _sources_in(path: Path) -> list[Path]:
    """List what a folder holds, or the path itself where it is a source or a folder of pictures."""
    if _is_source(path):
        return [path]
    inside = sorted({file.parent for file in path.rglob("metadata.yaml")})
    bags = [folder for folder in inside if _is_bag(folder)]
    whole = set(bags)
    for suffix in BAG_SUFFIXES:  # bags of a single file, without a folder of their own
        bags += [file for file in path.rglob(f"*{suffix}") if file.parent not in whole]
    cocos = {folder for folder in path.rglob("images") if splits_in(folder.parent)}
    return sorted({*bags, *(folder.parent for folder in cocos)}) or [path]


def _is_source(path: Path) -> bool:
    return path.is_file() or _is_bag(path) or bool(splits_in(path))


def _is_bag(folder: Path) -> bool:
    return (folder / "metadata.yaml").is_file()


def _names(paths: Sequence[Path] | dict[Path, None]) -> list[str]:
    """Name each by the last parts of its path, as few as tell all of them apart."""
    parts = [[part for part in path.absolute().parts if part != "/"] for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["_".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}_{p[-1]}" for number, p in enumerate(parts, 1)]


@dataclass(frozen=True, slots=True, eq=False)
class JoinedItem:
    """A picture of one of several sources.

    Attributes:
        sample_id: The source's name, a slash, and the picture's own.
        image_id: Place among all pictures, 1..N.
        item: The picture in its source.
    """

    sample_id: str
    image_id: int
    item: Item

    @property
    def attributes(self) -> dict[str, Any]:
        """Further fields of the picture's record."""
        return self.item.attributes

    @property
    def encoded(self) -> bool:
        """Whether ``content`` is a picture file; False for raw pixels of a bag."""
        return bool(getattr(self.item, "encoded", True))

    def frame(self) -> Frame:
        """Decode the pixels."""
        frame = self.item.frame()
        return Frame(frame.image, frame.stamp_ns, frame.frame_id, self.sample_id)

    def truth(self) -> Instances | None:
        """Decode the ground truth."""
        return self.item.truth()

    def content(self) -> bytes:
        """Return the picture as stored."""
        return self.item.content()


class JoinedSource:
    """Several sources, one after the other.

    Attributes:
        path: The first source's.
        split: That of all of them, or None where they differ.
        has_truth: Whether any picture is labelled.
    """

    kind = "several"

    def __init__(self, named: Sequence[NamedSource], split: str | None = None) -> None:
        """Open them.

        Raises:
            DataError: One of them does not open.
        """
        self.path = named[0].path
        self._sources: list[tuple[str, Source]] = [
            (entry.name, open_source(entry.path, split)) for entry in named
        ]
        splits = {source.split for _, source in self._sources}
        self.split = splits.pop() if len(splits) == 1 else None
        self.has_truth = any(source.has_truth for _, source in self._sources)

    def __len__(self) -> int:
        return sum(len(source) for _, source in self._sources)

    def __iter__(self) -> Iterator[JoinedItem]:
        number = 0
        for name, source in self._sources:
            for item in source:
                number += 1
                yield JoinedItem(f"{name}/{item.sample_id}", number, item)
