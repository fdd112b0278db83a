# SPDX-License-Identifier: Apache-2.0
"""Selection files: which pictures were chosen, in which order, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from armseg_ros.data.coco import is_whole_number
from armseg_ros.errors import DataError

FORMAT_VERSION = 1
KINDS = ("select", "prune")
INPUT_KEYS = {"run", "source", "split", "operating_threshold"}
"""What is known of each input at least; source and split may be null."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One picture of a selection.

    Attributes:
        sample_id: Its name.
        image_id: Its number in its source.
        run: Which of ``Selection.inputs`` it comes from, 0-based.
        reason: Why it was chosen, or dropped, in words.
        score: What it was ranked by; None where the order is the reason.
    """

    sample_id: str
    image_id: int
    run: int
    reason: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of pictures, and everything it takes to make it again.

    The same input, recipe and seed give the same selection, to the byte.

    Attributes:
        kind: ``select`` (pictures to label next) or ``prune`` (labelled pictures to keep).
        recipe: Name of the recipe under ``name``, and its settings.
        seed: Of everything that was drawn.
        input_sha256: Hash of all that the choice depends on: names, features, errors, flags.
        inputs: One record a run: its folder and what ``summary.json`` says of its data and model.
        summary: What the choice does, in figures.
        picks: The pictures, most valuable first.
        dropped: ``prune``: the pictures that were not kept, each with its reason.
    """

    kind: str
    recipe: dict[str, Any]
    seed: int
    input_sha256: str
    inputs: tuple[dict[str, Any], ...]
    summary: dict[str, Any]
    picks: tuple[Pick, ...]
    dropped: tuple[Pick, ...] = field(default=())


def write_selection(selection: Selection, path: Path) -> None:
    """Write a selection as JSON; the same selection gives the same bytes.

    Raises:
        DataError: The file exists already, or cannot be written.
    """
    if path.exists():
        raise DataError(f"{path} exists already; choose another name or remove it")
    document = {"format": FORMAT_VERSION, **asdict(selection)}
    text = json.dumps(document, indent=1, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_selection(path: Path) -> Selection:
    """Read a selection.

    Raises:
        DataError: The file is missing, is no selection, or is of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable selection: {error}") from error
    if not isinstance(document, dict) or document.get("kind") not in KINDS:
        raise DataError(f"{path}: not a selection of 'armseg select' or 'armseg prune'")
    if document.pop("format", None) != FORMAT_VERSION:
        raise DataError(f"{path}: a selection of another version; make it again")
    try:
        for key in ("picks", "dropped"):
            document[key] = tuple(_pick(record) for record in document[key])
        document["inputs"] = tuple(dict(record) for record in document["inputs"])
        selection = Selection(**document)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a damaged selection ({error}); make it again") from error
    if not all(set(record) >= INPUT_KEYS for record in selection.inputs):
        raise DataError(f"{path}: each input needs {', '.join(sorted(INPUT_KEYS))}; make it again")
    if any(not 0 <= pick.run < len(selection.inputs) for pick in selection.picks):
        raise DataError(f"{path}: a damaged selection (a pick of no input); make it again")
    return selection


def _pick(record: Any) -> Pick:
    pick = Pick(**record)
    texts = (record["sample_id"], record["reason"])
    numbers = (record["image_id"], record["run"])
    if not all(isinstance(text, str) for text in texts) or not all(map(is_whole_number, numbers)):
        raise ValueError(f"pick {record}")
    return pick
