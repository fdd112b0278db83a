# SPDX-License-Identifier: Apache-2.0
"""Small pictures, 64 to a JPEG file, so that tens of thousands fit into a folder to send around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from armseg_ros.data.images import check_encoded
from armseg_ros.data.source import Item, open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import Run
from armseg_ros.latent.features import Population
from armseg_ros.types import Int32Array, Uint8Array

WIDEST_PX = 160
# Width and JPEG quality; the first that all pictures fit with is taken.
SIZES = ((WIDEST_PX, 75), (128, 75), (96, 72), (64, 68), (48, 60))
PER_ROW = 8
PER_SHEET = PER_ROW * PER_ROW
MOST_BYTES = 24_000_000  # of all sheets: with 44,000 rows the folder stays below 60 MB
_SLACK = 0.85  # of that by the first sheet's size, since later pictures may be busier
_THREADS = 2  # OpenCV decodes without Python's lock
_BACKGROUND = 229


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnails:
    """What was written.

    Attributes:
        width: Of each in pixels.
        height: Of each in pixels.
        count: How many there are.
        slots: (N,) int32, place of each picture among them; -1 without one.
        notes: Sentences on what is missing and why.
    """

    width: int
    height: int
    count: int
    slots: Int32Array
    notes: tuple[str, ...]


def write_thumbnails(
    population: Population, folder: Path, pictures: Path | None = None
) -> Thumbnails | None:
    """Read the pictures of the runs again and write sheets ``0000.jpg``, ``0001.jpg``, ...

    Args:
        population: Pictures to show.
        folder: Where the sheets go; made where there is any picture.
        pictures: Where the pictures are, if not where the runs found them.

    Returns:
        What was written; its ``count`` is 0 where no picture could be read.
    """
    row_of = {
        (int(run), name): row
        for row, (run, name) in enumerate(
            zip(population.run_index, population.sample_ids, strict=True)
        )
    }
    notes: list[str] = []
    found = _wanted_items(population, row_of, pictures, notes)
    sheets = _Sheets(folder, len(population))
    with tqdm(total=len(population), desc="pictures", unit="picture", disable=None) as progress:
        for rows, images in _decoded(found):
            sheets.add(rows, images)
            progress.update(len(rows))
            if sheets.full:
                break
    sheets.close()
    lacking = int((sheets.slots < 0).sum())
    if sheets.full:
        notes.append(f"Pictures without a thumbnail, to keep this folder small: {lacking:,}.")
    elif lacking and not notes:
        notes.append(f"Pictures that could not be read again for a thumbnail: {lacking:,}.")
    return Thumbnails(sheets.width, sheets.height, sheets.count, sheets.slots, tuple(notes))


def _wanted_items(
    population: Population,
    row_of: dict[tuple[int, str], int],
    pictures: Path | None,
    notes: list[str],
) -> Iterator[tuple[int, Item]]:
    """Give row and picture of what the runs were made from, as far as it is still there."""
    for number, run in enumerate(population.runs):
        left = int((population.run_index == number).sum())
        for prefix, path in _sources_of(run, pictures):
            try:
                for item in open_source(path, _split_of(run, path), run.config.get("image_topic")):
                    row = row_of.get((number, prefix + item.sample_id))
                    if row is not None:
                        yield row, item
                        left -= 1
                    if left == 0:  # a run with --limit; the rest of a bag need not be read
                        break
            except DataError as error:
                notes.append(f"No thumbnails of {run.folder.name}: {error}.")


def _sources_of(run: Run, pictures: Path | None) -> list[tuple[str, Path]]:
    """List what precedes the sample ids, and where the pictures are."""
    source = run.config.get("source")
    if isinstance(source, dict):
        return [
            (f"{name}/", pictures / name if pictures else Path(source[name])) for name in source
        ]
    return [("", pictures or Path(str(source)))]


def _split_of(run: Run, path: Path) -> str | None:
    """Name the split to a folder that holds several; other sources may refuse it."""
    split = run.config.get("split")
    return split if split and (path / f"{split}.json").is_file() else None


def _decoded(
    found: Iterable[tuple[int, Item]],
) -> Iterator[tuple[list[int], list[Uint8Array | None]]]:
    """Decode a sheet's worth at a time, so that raw pictures do not pile up."""
    entries = iter(found)
    with ThreadPoolExecutor(_THREADS) as pool:
        while portion := list(islice(entries, PER_SHEET)):
            images = list(pool.map(_small_image, (item for _, item in portion)))
            yield [row for row, _ in portion], images


def _small_image(item: Item) -> Uint8Array | None:
    """Decode a picture and shrink it; None where that fails."""
    try:
        content = item.content()
        small = _small_jpeg(content) if content.startswith(b"\xff\xd8\xff") else None
        return small if small is not None else _shrunk(item.frame().image)
    except DataError:
        return None


def _small_jpeg(content: bytes) -> Uint8Array | None:
    """Decode JPEG data at an eighth or a quarter of its size; None where it is no JPEG after all.

    Raw pixels of a bag may begin like one.
    """
    try:
        width = check_encoded(content, "").width
    except DataError:
        return None
    modes = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4}
    by = next((by for by in modes if width // by >= WIDEST_PX), 0)
    image: Any = cv2.imdecode(np.frombuffer(content, np.uint8), modes.get(by, cv2.IMREAD_COLOR))
    return None if image is None else _shrunk(image)


def _shrunk(image: Uint8Array) -> Uint8Array:
    """Fit into a square of the largest width, so that waiting pictures are small."""
    return _fitted(image, WIDEST_PX, WIDEST_PX)


def _fitted(image: npt.NDArray[Any], width: int, height: int) -> Uint8Array:
    """Scale into a box, keeping the shape; a picture is never enlarged."""
    scale = min(width / image.shape[1], height / image.shape[0], 1.0)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


class _Sheets:
    """Collects pictures and writes a sheet whenever one is full."""

    def __init__(self, folder: Path, expected: int) -> None:
        self._folder, self._expected = folder, expected
        self._waiting: list[Uint8Array] = []
        self._bytes = 0
        self.width = self.height = self.quality = self.count = 0
        self.slots: Int32Array = np.full(expected, -1, np.int32)

    @property
    def full(self) -> bool:
        """Whether no more may be written."""
        return self._bytes > MOST_BYTES

    def add(self, rows: list[int], images: list[Uint8Array | None]) -> None:
        for row, image in zip(rows, images, strict=True):
            if image is None:
                continue
            self.slots[row] = self.count
            self.count += 1
            self._waiting.append(image)
            if len(self._waiting) == PER_SHEET:
                self._write()

    def close(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        if not self.width:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.width, self.height, self.quality = self._choose_size()
        number = (self.count - 1) // PER_SHEET
        path = self._folder / f"{number:04d}.jpg"
        encoded = _sheet(self._waiting, self.width, self.height, self.quality)
        try:
            path.write_bytes(encoded)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
        self._bytes += len(encoded)
        self._waiting = []

    def _choose_size(self) -> tuple[int, int, int]:
        """Take the largest size that all pictures would fit with, judging by the first sheet."""
        shape = float(np.median([image.shape[0] / image.shape[1] for image in self._waiting]))
        for width, quality in SIZES:
            height = min(max(8 * round(width * shape / 8), 8), 2 * width)
            share = len(self._waiting) / self._expected
            if len(_sheet(self._waiting, width, height, quality)) <= _SLACK * MOST_BYTES * share:
                break
        return width, height, quality


def _sheet(images: list[Uint8Array], width: int, height: int, quality: int) -> bytes:
    """Put pictures beside each other, row by row, and encode them; no larger than it has to be."""
    columns = min(PER_ROW, len(images))
    rows = -(-len(images) // PER_ROW)
    sheet = np.full((rows * height, columns * width, 3), _BACKGROUND, np.uint8)
    for place, image in enumerate(images):
        small = _fitted(image, width, height)
        top = place // PER_ROW * height + (height - small.shape[0]) // 2
        left = place % PER_ROW * width + (width - small.shape[1]) // 2
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    _, encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
