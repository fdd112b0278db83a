# SPDX-License-Identifier: Apache-2.0
"""The COCO documents of a run: predictions go to disk as they come, ground truth at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import CATEGORIES


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
    """Collects predictions and ground truth of a run, both in source pixels.

    ``predictions.json`` and ``ground_truth.json`` cover the same pictures, so that any COCO tool
    can score one against the other. Where a source labels only some of its pictures, predictions
    on the others go to ``predictions_unlabelled.json``.

    Attributes:
        truth: COCO document of the labelled pictures.
        predictions: COCO results on the labelled pictures.
    """

    def __init__(self, folder: Path, has_truth: bool) -> None:
        """Create the files; ``has_truth`` says whether the source labels any picture."""
        self.truth: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [dict(category) for category in CATEGORIES],
        }
        self.predictions: list[dict[str, Any]] = []
        self._folder, self._has_truth = folder, has_truth
        self._scored = JsonList(folder / "predictions.json")
        self._unlabelled: JsonList | None = None

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
        if annotations is None:
            self._unlabelled_list().extend(predictions)
            return
        first = len(self.truth["annotations"]) + 1
        self._scored.extend(predictions)
        self.truth["images"].append(image)
        self.truth["annotations"] += [
            {"id": first + index, **record} for index, record in enumerate(annotations)
        ]
        self.predictions += predictions

    def close(self) -> None:
        """End the files and write the ground truth, if there is any."""
        self._scored.close()
        if self._unlabelled is not None:
            self._unlabelled.close()
        if self._has_truth:
            path = self._folder / "ground_truth.json"
            path.write_text(json.dumps(self.truth), encoding="utf-8")

    def _unlabelled_list(self) -> JsonList:
        if not self._has_truth:
            return self._scored
        if self._unlabelled is None:
            self._unlabelled = JsonList(self._folder / "predictions_unlabelled.json")
        return self._unlabelled
