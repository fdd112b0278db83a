# SPDX-License-Identifier: Apache-2.0
"""Renders a series of synthetic totes into a data set in ARMBench's layout."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from armseg_ros.errors import ConfigError, DataError
from armseg_ros.masks import encode_full, tight_mask
from armseg_ros.processes import end_with_parent
from armseg_ros.synthetic.journal import Entry, Journal, Recipe
from armseg_ros.synthetic.labelling import FIRST_OBJECT_ID, TOTE_ID
from armseg_ros.synthetic.render import RENDERER, ToteImage, check_arguments, render_tote
from armseg_ros.synthetic.splits import DEFAULT_SPLIT, assign_splits, check_split

_TOTE_CATEGORY, _OBJECT_CATEGORY = 1, 2  # ARMBench's
_JPEG_QUALITY = 92


def write_coco(
    out: Path | str,
    count: int,
    seed: int,
    size: tuple[int, int] = (2448, 2048),
    *,
    split: Mapping[str, float] = DEFAULT_SPLIT,
    workers: int = 1,
    resume: bool = False,
) -> dict[str, int]:
    """Render pictures 0 .. count-1 of series ``seed``: ``out``/images/*.jpg and a json per split.

    Args:
        out: Folder to make; it must be empty or absent unless ``resume``.
        count: Number of pictures, > 0.
        seed: Of the series, >= 0.
        size: (width, height) in pixels.
        split: Weights of train, val and test; a split of weight 0 or left out gets no file. The
            split of picture K depends on K and the weights alone.
        workers: Processes; the files do not depend on it.
        resume: Go on with an interrupted run of the same settings; a complete one is left alone.

    Returns:
        The number of pictures in each split.

    Raises:
        ConfigError: A number or a split is out of range, or ``resume`` finds other settings.
        DataError: ``out`` is not empty or cannot be written (rights, disk full).
        KeyboardInterrupt: Ctrl-C. As after an error, finished pictures are kept for ``resume`` and
            no annotation file is written.
    """
    weights = {name: float(weight) for name, weight in split.items()}
    recipe = Recipe(count, seed, (int(size[0]), int(size[1])), tuple(weights.items()), RENDERER)
    _check(recipe, workers)
    splits = assign_splits(count, weights)
    journal = Journal(Path(out), recipe)
    with _readable_os_errors(journal.folder):
        if journal.open(resume):
            journal.append(_missing_entries(journal, workers))
            journal.finish(splits)
    return {name: splits.count(name) for name, weight in weights.items() if weight > 0}


def _check(recipe: Recipe, workers: int) -> None:
    if recipe.count <= 0:
        raise ConfigError(f"the number of pictures must be 1 or more, got {recipe.count}")
    if workers <= 0:
        raise ConfigError(f"the number of workers must be 1 or more, got {workers}")
    check_arguments(recipe.seed, 0, recipe.size)
    check_split(dict(recipe.split))


def _missing_entries(journal: Journal, workers: int) -> Iterator[Entry]:
    """Render what the journal lacks, in order, with a progress bar on a terminal."""
    done = journal.entries()
    missing = [index for index in range(journal.recipe.count) if index not in done]
    total = journal.recipe.count
    entries = _rendered(journal, missing, min(workers, len(missing)))
    yield from tqdm(entries, total=total, initial=len(done), unit="picture", disable=None)


def _rendered(journal: Journal, indices: list[int], workers: int) -> Iterator[Entry]:
    """Yield the entries of ``indices`` in order, rendered here or by worker processes."""
    if workers <= 1:
        for index in indices:
            yield _render_one(journal.folder, journal.recipe, index)
        return
    # Spawned, not forked: OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        waiting: deque[Future[Entry]] = deque()
        for index in indices:
            with _children_leave_interrupts():  # submitting starts workers as they are needed
                waiting.append(pool.submit(_render_one, journal.folder, journal.recipe, index))
            if len(waiting) > 2 * workers:  # enough to keep all busy, few to wait for at the end
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            f"a worker process died while rendering into {journal.folder}, probably for want of "
            "memory; use fewer --workers and --resume"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _children_leave_interrupts() -> Iterator[None]:
    """Start processes that leave Ctrl-C to the parent, from their first instruction on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is ignored is inherited
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    end_with_parent()


def _render_one(folder: Path, recipe: Recipe, index: int) -> Entry:
    """Render and write one picture; return its journal entry."""
    tote = render_tote(recipe.seed, index, recipe.size)
    name = f"tote_{recipe.seed}_{index:06d}.jpg"
    encoded, data = cv2.imencode(".jpg", tote.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise DataError(f"OpenCV could not encode {name}")
    part = folder / "images" / f"{name}.part"
    part.write_bytes(data.tobytes())
    part.replace(folder / "images" / name)
    height, width = tote.instance_ids.shape
    image = {"id": index, "file_name": name, "width": width, "height": height, **tote.attributes}
    return {"image": image, "annotations": annotations_of(tote, index)}


def annotations_of(tote: ToteImage, image_id: int) -> list[dict[str, Any]]:
    """Return the COCO annotations of a picture without their ids: the tote, then the objects.

    Beside COCO's fields an object has ``family``, ``product`` and ``visible_frac``.
    """
    annotations = []
    for number in np.flatnonzero(np.bincount(tote.instance_ids.ravel())).tolist():
        if number < TOTE_ID:
            continue
        annotation = {"image_id": image_id, **_annotation(tote, number)}
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
    height, width = tote.instance_ids.shape
    return {
        "category_id": _TOTE_CATEGORY if number == TOTE_ID else _OBJECT_CATEGORY,
        "iscrowd": 0,
        "area": int(mask.crop.sum()),
        "bbox": [mask.x, mask.y, columns, rows],
        "segmentation": encode_full(mask, (height, width)),
    }


@contextmanager
def _readable_os_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write into {folder}: {error.strerror or error}; make space or rights, then "
            "go on with --resume, finished pictures are kept"
        ) from error
