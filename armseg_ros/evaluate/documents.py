# SPDX-License-Identifier: Apache-2.0
"""The COCO documents of a run, which go to disk as they come, and their figures."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import CATEGORIES
from armseg_ros.evaluate.coco import MaskAndBoxScorer

PORTION = 200  # pictures that are matched at once: what of them waits in memory stays small


class JsonList:
    """A JSON list in a file that grows by records; a whole list after each call."""

    _END = b"]\n"

    def __init__(self, path: Path) -> None:
        """Create the file with an empty list."""
        self._file = path.open("wb")
        self._separator = "["
        self._file.write(b"[" + self._END)
        self._file.flush()

    def extend(self, records: list[dict[str, Any]]) -> None:
        """Write records over the end of the list, and the end anew."""
        if not records:
            return
        text = self._separator + ",\n".join(json.dumps(record) for record in records)
        back = len(self._END) + (self._separator == "[")
        self._file.seek(-back, os.SEEK_END)
        self._file.write(text.encode() + self._END)
        self._file.flush()
        self._separator = ",\n"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class CocoDocuments:
    """Writes predictions and ground truth of a run, both in source pixels, and scores them.

    ``predictions.json`` and ``ground_truth.json`` cover the same pictures, so that any COCO tool
    can score one against the other. Where a source labels only some of its pictures, predictions
    on the others go to ``predictions_unlabelled.json``. No more than ``PORTION`` pictures wait in
    memory.

    Attributes:
        scorer: Of the labelled pictures; complete once closed.
    """

    def __init__(self, folder: Path, has_truth: bool) -> None:
        """Create the files; ``has_truth`` says whether the source labels any picture."""
        self.scorer = MaskAndBoxScorer()
        self._images: list[dict[str, Any]] = []
        self._annotations = 0
        self._folder, self._has_truth = folder, has_truth
        self._scored = JsonList(folder / "predictions.json")
        self._truth = JsonList(folder / "annotations.json.part") if has_truth else None
        self._unlabelled: JsonList | None = None
        self._waiting = _Portion()

    def add(
        self,
        image: dict[str, Any],
        annotations: list[dict[str, Any]] | None,
        predictions: list[dict[str, Any]],
    ) -> None:
        """Add one picture.

        Args:
            image: COCO image record with id, file_name, height and width.
            annotations: Its ground truth, numbered here; None where it is not labelled.
            predictions: COCO results on it.
        """
        if annotations is None or self._truth is None:
            self._unlabelled_list().extend(predictions)
            return
        first = self._annotations + 1
        numbered = [{"id": first + index, **record} for index, record in enumerate(annotations)]
        self._scored.extend(predictions)
        self._truth.extend(numbered)
        self._images.append(image)
        self._annotations += len(numbered)
        self._waiting.add(image, numbered, predictions)
        if len(self._waiting.images) >= PORTION:
            self._score()

    def close(self) -> None:
        """End the files, score what waits and write the ground truth, if there is any."""
        self._score()
        self._scored.close()
        if self._unlabelled is not None:
            self._unlabelled.close()
        if self._truth is not None:
            self._truth.close()
            write_ground_truth(self._folder, self._images, self._folder / "annotations.json.part")

    def _score(self) -> None:
        portion, self._waiting = self._waiting, _Portion()
        self.scorer.add(portion.truth(), portion.predictions)

    def _unlabelled_list(self) -> JsonList:
        if not self._has_truth:
            return self._scored
        if self._unlabelled is None:
            self._unlabelled = JsonList(self._folder / "predictions_unlabelled.json")
        return self._unlabelled


def write_ground_truth(folder: Path, images: list[dict[str, Any]], annotations: Path) -> None:
    """Put ``ground_truth.json`` together around a file with the annotations, which goes."""
    part = folder / "ground_truth.json.part"
    with part.open("w", encoding="utf-8") as file, annotations.open(encoding="utf-8") as records:
        file.write(f'{{"images": {json.dumps(images)}, "annotations": ')
        shutil.copyfileobj(records, file)
        file.write(f', "categories": {json.dumps(categories())}}}\n')
    part.replace(folder / "ground_truth.json")
    annotations.unlink()


def categories() -> list[dict[str, Any]]:
    """Give the COCO categories of this package."""
    return [dict(category) for category in CATEGORIES]


@dataclass(slots=True)
class _Portion:
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        image: dict[str, Any],
        annotations: list[dict[str, Any]],
        predictions: list[dict[str, Any]],
    ) -> None:
        self.images.append(image)
        self.annotations += annotations
        self.predictions += predictions

    def truth(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories(),
        }
