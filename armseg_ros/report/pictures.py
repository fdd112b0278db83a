# SPDX-License-Identifier: Apache-2.0
"""The pictures of a run, wherever they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from armseg_ros.data.source import Item, Source, open_source
from armseg_ros.errors import ArmsegError
from armseg_ros.evaluate.read_run import Run


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where the pictures of a run are.

    Attributes:
        places: What stands before the sample ids (empty for a run of one source), and the source.
        split: Of the sources; None where the run does not say.
        image_topic: Topic of the pictures, where a bag holds several.
    """

    places: tuple[tuple[str, Path], ...]
    split: str | None
    image_topic: str | None

    def open(self, path: Path) -> Source:
        """Open one of the sources.

        Raises:
            DataError: It is not there, or damaged.
        """
        named = self.split if self.split and (path / f"{self.split}.json").is_file() else None
        return open_source(path, named, self.image_topic)

    def find(self, wanted: Collection[str], problems: list[str]) -> Iterator[tuple[str, Item]]:
        """Find pictures by sample id.

        Args:
            wanted: Sample ids.
            problems: Takes a sentence for each source that cannot be read, and one for what no
                source holds.
        """
        missing = set(wanted)
        for prefix, path in self.places:
            if not any(name.startswith(prefix) for name in missing):
                continue
            try:
                for item in self.open(path):
                    name = prefix + item.sample_id
                    if name in missing:
                        missing.discard(name)
                        yield name, item
                    if not missing:
                        return
            except (ArmsegError, OSError) as error:
                problems.append(f"{error}; give its place with --source")
        if missing and not problems:
            problems.append(f"{len(missing)} pictures of the run are not in its source any more")


def pictures_of(run: Run, given: Path | None, image_topic: str | None) -> Pictures:
    """Say where the pictures of a run are.

    Args:
        run: The run.
        given: Where they are now, or for a run of several sources the folder that holds them by
            name; None takes the places that the run names.
        image_topic: Topic of the pictures, where a bag holds several.

    Raises:
        DataError: A place that was given does not open.
    """
    source = run.config.get("source", "")
    if isinstance(source, dict):
        places = [(f"{n}/", given / n if given else Path(str(source[n]))) for n in source]
    else:
        places = [("", given or Path(str(source)))]
    pictures = Pictures(tuple(places), run.config.get("split"), image_topic)
    for _, path in pictures.places if given else ():
        pictures.open(path)
    return pictures
