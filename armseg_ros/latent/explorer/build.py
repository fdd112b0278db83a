# SPDX-License-Identifier: Apache-2.0
"""Build the explorer: a folder with a page that opens from disk, without a server or a network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armseg_ros.config import require_range
from armseg_ros.data.new_folder import new_folder
from armseg_ros.errors import DataError
from armseg_ros.latent.explorer.boxes import read_boxes
from armseg_ros.latent.explorer.content import HERE, SCRIPTS, Content
from armseg_ros.latent.explorer.picks import with_picks
from armseg_ros.latent.explorer.saved_map import load_map, save_map
from armseg_ros.latent.explorer.thumbnails import write_thumbnails
from armseg_ros.latent.features import Population, load_population
from armseg_ros.latent.project import Map, Method, find_neighbours, lay_out

MOST_PICTURES = 100_000  # twice what the page is made for


@dataclass(frozen=True, slots=True)
class ExplorerConfig:
    """Settings of an explorer.

    Attributes:
        method: How the map is made; see ``project.lay_out``.
        neighbours: Nearest pictures to list of each, 1..50.
        seed: Of map and clusters.
        thumbnails: Whether to read the pictures again and show them.
        pictures: Where they are, if not where the runs found them.
        onto: An explorer of the same model on whose map the pictures are placed.
        selection: Selection file whose picks are shown.
    """

    method: Method = "auto"
    neighbours: int = 12
    seed: int = 0
    thumbnails: bool = True
    pictures: Path | None = None
    onto: Path | None = None
    selection: Path | None = None

    def __post_init__(self) -> None:
        require_range("neighbours", self.neighbours, 1, 50)
        require_range("seed", self.seed, 0, 2**32 - 1)


def build_explorer(
    folders: Sequence[Path], output: Path, config: ExplorerConfig, date: str
) -> tuple[str, ...]:
    """Write the page.

    The same runs, settings and pictures give the same files, but for the date in ``index.html``.
    The folder appears when it is whole.

    Args:
        folders: Runs of one model.
        output: Folder to write; made if needed, and refused unless empty.
        config: Settings.
        date: When, as it is to be shown.

    Returns:
        Sentences on what the page does not show and why; it shows them too.

    Raises:
        DataError: A run cannot be read or has no features, the runs are of two models, the output
            is in use or cannot be written, ``onto`` holds no map of this model, or
            ``selection`` none of these pictures.
    """
    with new_folder(output) as folder:
        content = _content(folders, folder, config)
        _write(folder, content, date)
    return content.notes()


def _content(folders: Sequence[Path], folder: Path, config: ExplorerConfig) -> Content:
    """Read the runs, and write the thumbnails into the folder."""
    population = load_population(folders, seed=config.seed)
    if len(population) > MOST_PICTURES:
        raise DataError(
            f"{len(population):,} pictures are more than the {MOST_PICTURES:,} that a page can "
            "hold; name fewer runs"
        )
    if config.selection is not None:
        population = with_picks(population, config.selection)
    near = find_neighbours(population.reduced, config.neighbours)
    layout = _lay_out(population, config)
    thumbnails = None
    if config.thumbnails:
        thumbnails = write_thumbnails(population, folder / "thumbnails", config.pictures)
    boxes = read_boxes(population)
    return Content(population, layout, near, boxes, thumbnails, config.seed)


def _lay_out(population: Population, config: ExplorerConfig) -> Map:
    if config.onto is None:
        return lay_out(population.reduced, config.method, seed=config.seed)
    model_id = str(population.runs[0].summary["model"]["model_id"])
    return load_map(config.onto, model_id).extend(population.features)


def _write(output: Path, content: Content, date: str) -> None:
    (output / "data").mkdir()
    (output / "static").mkdir()
    for name in (*SCRIPTS, "explorer.css"):
        shutil.copyfile(HERE / "static" / name, output / "static" / name)
    for name, text in content.scripts().items():
        (output / "data" / f"{name}.js").write_text(text, encoding="utf-8")
    save_map(output, content.population, content.layout)
    # Names of folders may hold bytes that are no text.
    page = content.page(date).encode("utf-8", "replace")
    (output / "index.html").write_bytes(page)
