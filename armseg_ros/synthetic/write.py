# SPDX-License-Identifier: Apache-2.0
"""Writes a series of synthetic totes as a data set in ARMBench's layout.

Every finished picture is recorded in a journal beside the pictures, so an interrupted run keeps what it has
and can go on. The annotation files are made from the journal at the end, each in one step.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from armseg_ros.errors import ConfigError, DataError
from armseg_ros.masks import encode_full, tight_mask
from armseg_ros.synthetic.render import (
    FIRST_OBJECT_ID,
    TOTE_ID,
    ToteImage,
    check_arguments,
    render_tote,
)

CATEGORIES = ({"id": 1, "name": "Tote"}, {"id": 2, "name": "Object"})
DEFAULT_SPLIT: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}
SPLIT_NAMES = ("train", "val", "test")
_JPEG_QUALITY = 92
_JOURNAL = "synth_journal.jsonl"
_RECIPE = "synth.json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a data set: the same recipe gives the same files."""

    count: int
    seed: int
    size: tuple[int, int]  # width, height in px
    split: tuple[tuple[str, float], ...]  # name and weight


def write_coco(
    out: Path | str, count: int, seed: int, size: tuple[int, int] = (2448, 2048), *,
    split: Mapping[str, float] = DEFAULT_SPLIT, workers: int = 1, resume: bool = False,
) -> dict[str, int]:  # fmt: skip
    """Render pictures 0 .. count-1 of series `seed` into `out`: images/*.jpg and one json for each split.

    Args:
        out: folder to make; it must be empty or absent unless `resume`.
        count: number of pictures, > 0.
        seed: of the series, >= 0.
        size: (width, height) in pixels.
        split: weight of train, val and test; picture K's split depends on K and the weights alone.
        workers: processes; the files do not depend on it.
        resume: go on with a run of the same recipe that was interrupted.

    Returns:
        The number of pictures in each split.

    Raises:
        ConfigError: a number or a split is out of range, or `resume` finds another recipe.
        DataError: `out` is not empty, cannot be written, or the disk is full; finished pictures are kept.
        KeyboardInterrupt: Ctrl-C; finished pictures are kept, no json is written.
    """
    recipe = Recipe(count, seed, (int(size[0]), int(size[1])), tuple(split.items()))
    _check(recipe, workers)
    folder = Path(out)
    with _readable_os_errors(folder):
        done = _open_folder(folder, recipe, resume)
        _render_missing(folder, recipe, workers, done)
        counts = _write_splits(folder, recipe)
        (folder / _JOURNAL).unlink()
    return counts


def parse_split(text: str) -> dict[str, float]:
    """Return {"train": 8.0, ...} of "train=8,val=1,test=1"; any non-negative weights.

    Raises:
        ConfigError: a part is no `name=weight` with a name of train, val, test.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise ConfigError(
                f'split part "{part}" is not name=weight; write it like train=0.8,val=0.1,test=0.1'
            ) from None
    _check_split(weights)
    return weights


def split_of(count: int, weights: Mapping[str, float]) -> list[str]:
    """Return the split of pictures 0 .. count-1; the first K never depend on what follows.

    Each picture goes to the split that is furthest behind its share, so every prefix is as near to the
    weights as whole pictures allow.
    """
    total = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    names = []
    for index in range(count):
        behind = {
            name: weight / total * (index + 1) - given[name] for name, weight in weights.items()
        }
        name = max(behind, key=lambda key: round(behind[key], 9))
        given[name] += 1
        names.append(name)
    return names


def _check(recipe: Recipe, workers: int) -> None:
    if recipe.count <= 0:
        raise ConfigError(f"the number of pictures must be 1 or more, got {recipe.count}")
    if workers <= 0:
        raise ConfigError(f"the number of workers must be 1 or more, got {workers}")
    check_arguments(recipe.seed, 0, recipe.size)
    _check_split(dict(recipe.split))


def _check_split(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if name not in SPLIT_NAMES:
            raise ConfigError(f'split "{name}" is unknown; the splits are {", ".join(SPLIT_NAMES)}')
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"the weight of split {name} must be 0 or more, got {weight}")
    if sum(weights.values()) <= 0:
        raise ConfigError("at least one split needs a weight above 0")


# ---- the folder and its journal -------------------------------------------------------------------


def _open_folder(folder: Path, recipe: Recipe, resume: bool) -> set[int]:
    """Make or reopen the folder; return the indices of pictures that are finished."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; give a folder to make")
    if folder.is_dir() and any(folder.iterdir()):
        if not resume:
            raise DataError(
                f"{folder} is not empty; choose another folder, empty it, or use --resume to go on with an"
                " interrupted run of the same settings"
            )
        return _reopen(folder, recipe)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    _write_json(folder / _RECIPE, asdict(recipe))
    (folder / _JOURNAL).touch()
    return set()


def _reopen(folder: Path, recipe: Recipe) -> set[int]:
    try:
        kept = json.loads((folder / _RECIPE).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        raise DataError(
            f"{folder} holds no {_RECIPE}, so there is no run to resume in it"
        ) from None
    wanted = json.loads(json.dumps(asdict(recipe)))
    changed = [name for name in wanted if name != "count" and kept.get(name) != wanted[name]]
    if changed:
        raise ConfigError(
            f"cannot resume in {folder}: it was made with {changed[0]} {kept.get(changed[0])}, "
            f"this run asks for {wanted[changed[0]]}"
        )
    if not (folder / _JOURNAL).exists():
        raise DataError(f"{folder} is complete with {kept['count']} pictures; nothing to resume")
    _write_json(folder / _RECIPE, asdict(recipe))
    return set(_read_journal(folder))


def _read_journal(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the finished pictures by index; a half-written last line is not one."""
    entries: dict[int, dict[str, Any]] = {}
    with (folder / _JOURNAL).open(encoding="utf-8") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if (folder / "images" / entry["image"]["file_name"]).exists():
                entries[entry["image"]["index"]] = entry
    return entries


def _write_json(path: Path, content: object) -> None:
    """Write in one step: a reader sees the old file or the whole new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)


def _write_splits(folder: Path, recipe: Recipe) -> dict[str, int]:
    entries = _read_journal(folder)
    names = split_of(recipe.count, dict(recipe.split))
    counts = {}
    for name, weight in recipe.split:
        if weight == 0:
            continue
        chosen = [entries[index] for index in range(recipe.count) if names[index] == name]
        _write_json(folder / f"{name}.json", _coco(chosen))
        counts[name] = len(chosen)
    return counts


def _coco(entries: Iterable[dict[str, Any]]) -> dict[str, object]:
    images, annotations = [], []
    for entry in entries:
        images.append(entry["image"])
        for annotation in entry["annotations"]:
            annotations.append({"id": len(annotations) + 1, **annotation})
    return {"images": images, "annotations": annotations, "categories": list(CATEGORIES)}


# ---- rendering ------------------------------------------------------------------------------------


def _render_missing(folder: Path, recipe: Recipe, workers: int, done: set[int]) -> None:
    missing = [index for index in range(recipe.count) if index not in done]
    finished = _rendered(folder, recipe, workers, missing)
    with (folder / _JOURNAL).open("a", encoding="utf-8") as journal:
        if done:
            journal.write("\n")  # ends a line that an interruption may have cut
        bar = tqdm(finished, total=recipe.count, initial=len(done), unit="picture", disable=None)
        for entry in bar:
            journal.write(json.dumps(entry) + "\n")
            journal.flush()


def _rendered(
    folder: Path, recipe: Recipe, workers: int, indices: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the journal entries of `indices` in order, rendered here or by worker processes."""
    if min(workers, len(indices)) <= 1:
        for index in indices:
            yield _render_one(folder, recipe, index)
        return
    # Spawned, not forked: OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(indices)), mp_context=context, initializer=_start_worker
    )
    try:
        waiting: list[Future[dict[str, Any]]] = []
        for index in indices:
            waiting.append(pool.submit(_render_one, folder, recipe, index))
            if len(waiting) >= 3 * workers:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    except BrokenProcessPool:
        raise DataError(
            f"a worker process died while rendering into {folder}, probably for want of memory; use fewer"
            " --workers and --resume"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _render_one(folder: Path, recipe: Recipe, index: int) -> dict[str, Any]:
    """Render and write one picture; return its journal entry."""
    tote = render_tote(recipe.seed, index, recipe.size)
    name = f"tote_{recipe.seed}_{index:06d}.jpg"
    encoded, data = cv2.imencode(".jpg", tote.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise DataError(f"OpenCV could not encode {name}")
    path = folder / "images" / name
    part = path.with_name(name + ".part")
    part.write_bytes(data.tobytes())
    os.replace(part, path)
    height, width = tote.instance_ids.shape
    image = {"id": index, "file_name": name, "width": width, "height": height, **tote.attributes}
    return {"image": image, "annotations": _annotations(tote, index)}


def _annotations(tote: ToteImage, image_id: int) -> list[dict[str, Any]]:
    """Return the COCO annotations of a picture, without their ids: the tote, then the objects."""
    annotations = []
    for number in np.flatnonzero(np.bincount(tote.instance_ids.ravel())).tolist():
        if number < TOTE_ID:
            continue
        annotation = _annotation(tote, number) | {"image_id": image_id}
        if number >= FIRST_OBJECT_ID:
            rank = number - FIRST_OBJECT_ID
            annotation["family"] = tote.families[rank]
            annotation["product"] = tote.products[rank]
            annotation["visible_frac"] = tote.visible_fracs[rank]
        annotations.append(annotation)
    return annotations


def _annotation(tote: ToteImage, number: int) -> dict[str, Any]:
    mask = tight_mask(tote.instance_ids == number)
    rows, columns = mask.crop.shape
    return {
        "category_id": 1 if number == TOTE_ID else 2,
        "iscrowd": 0,
        "area": int(mask.crop.sum()),
        "bbox": [mask.x, mask.y, columns, rows],
        "segmentation": encode_full(mask, tote.instance_ids.shape),
    }


@contextmanager
def _readable_os_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write into {folder}: {error.strerror or error}; finished pictures are kept, "
            "free space or rights and use --resume"
        ) from error
