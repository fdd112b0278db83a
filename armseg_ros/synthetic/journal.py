# SPDX-License-Identifier: Apache-2.0
"""The record of a rendering run: its recipe, and every finished picture with its annotations.

An interrupted run keeps what it has and can go on. The annotation files are made from the journal
at the end, each in one step, so a reader never sees half of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import CATEGORIES
from armseg_ros.errors import ConfigError, DataError

RECIPE_FILE = "synth.json"
_JOURNAL_FILE = "synth_journal.jsonl"
Entry = dict[str, Any]  # {"image": COCO image record, "annotations": [COCO records without id]}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a data set: on one machine, the same recipe gives the same files."""

    count: int
    seed: int
    size: tuple[int, int]  # width, height in px
    split: tuple[tuple[str, float], ...]  # name and weight
    renderer: int  # version of the pictures


class Journal:
    """The journal of the run in one folder."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self._path = folder / _JOURNAL_FILE

    def open(self, resume: bool) -> bool:
        """Make the folder, or reopen the one of an interrupted run.

        Returns:
            Whether there is something left to render; False where a run is complete.

        Raises:
            DataError: The folder is not empty and ``resume`` is off, or there is no run in it.
            ConfigError: The run in it has another recipe.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{self.folder} is a file; give a folder to make")
        if self.folder.is_dir() and any(self.folder.iterdir()):
            if not resume:
                raise DataError(
                    f"{self.folder} is not empty; choose another folder, empty it, or use "
                    "--resume to go on with an interrupted run of the same settings"
                )
            return self._reopen()
        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        write_json(self.folder / RECIPE_FILE, asdict(self.recipe))
        self._path.touch()
        return True

    def _reopen(self) -> bool:
        wanted = json.loads(json.dumps(asdict(self.recipe)))
        try:
            kept = json.loads((self.folder / RECIPE_FILE).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            raise DataError(
                f"{self.folder} holds no {RECIPE_FILE}, so there is no run in it to resume; "
                "choose another folder"
            ) from None
        for name, value in wanted.items():
            if kept.get(name) != value:
                raise ConfigError(
                    f"cannot resume in {self.folder}: it was made with {name} {kept.get(name)}, "
                    f"this run asks for {value}; use the same settings or another folder"
                )
        return self._path.exists()

    def entries(self) -> dict[int, Entry]:
        """Return the finished pictures by index; a half-written last line is not one."""
        entries: dict[int, Entry] = {}
        for line in self._lines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if (self.folder / "images" / entry["image"]["file_name"]).exists():
                entries[entry["image"]["index"]] = entry
        return entries

    def _lines(self) -> Iterator[str]:
        if self._path.exists():
            with self._path.open(encoding="utf-8") as lines:
                yield from lines

    def append(self, entries: Iterable[Entry]) -> None:
        """Record each entry as soon as it comes."""
        with self._path.open("a", encoding="utf-8") as journal:
            if journal.tell():
                journal.write("\n")  # ends a line that an interruption may have cut
            for entry in entries:
                journal.write(json.dumps(entry) + "\n")
                journal.flush()

    def finish(self, splits: list[str]) -> None:
        """Write the annotation file of every split with a weight, and end the run.

        Args:
            splits: The split of every picture of the recipe, in order.
        """
        entries = self.entries()
        for name, weight in self.recipe.split:
            if weight > 0:
                chosen = [entries[index] for index, split in enumerate(splits) if split == name]
                write_json(self.folder / f"{name}.json", _coco(chosen, self.recipe))
        self._path.unlink()


def write_json(path: Path, content: object) -> None:
    """Write a file in one step: a reader sees the old one or the whole new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _coco(entries: Iterable[Entry], recipe: Recipe) -> dict[str, object]:
    images: list[Entry] = []
    annotations: list[Entry] = []
    for entry in entries:
        images.append(entry["image"])
        first = len(annotations) + 1
        numbered = enumerate(entry["annotations"], first)
        annotations.extend({"id": number, **annotation} for number, annotation in numbered)
    info = {"description": "synthetic totes by armseg synth", **asdict(recipe)}
    return {
        "info": info,
        "images": images,
        "annotations": annotations,
        "categories": list(CATEGORIES),
    }
