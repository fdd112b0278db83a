# SPDX-License-Identifier: Apache-2.0
"""A folder that appears when it is whole: an error or Ctrl-C on the way leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from armseg_ros.errors import DataError


def refuse_used(path: Path, what: str = "folder") -> None:
    """Refuse a place to write to that holds something.

    Raises:
        DataError: It is a file, or a folder that is not empty; ``what`` names what to choose.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path} exists already and is not empty; choose another {what}")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write to, which gets the name ``path`` when all went well.

    Raises:
        DataError: The path is in use, which an empty folder is not, or cannot be written.
    """
    refuse_used(path)
    place = path.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        raise DataError(f"{path} cannot be made: {error.strerror or error}") from error
    try:
        yield workplace
        if place.exists():  # and is empty; somebody may stand in it
            for part in list(workplace.iterdir()):
                part.rename(place / part.name)
        else:
            workplace.chmod(0o755)
            workplace.rename(place)
    except OSError as error:
        if error.filename is not None and str(workplace) not in str(error.filename):
            raise  # of something that was read
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
