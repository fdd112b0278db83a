# SPDX-License-Identifier: Apache-2.0
"""A folder appears when it is whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from armseg_ros.data.new_folder import new_folder
from armseg_ros.errors import DataError


@pytest.mark.parametrize("is_there", [False, True])
def test_it_appears_when_it_is_whole(tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "deep" / "new"
    if is_there:
        path.mkdir(parents=True)
    with new_folder(path) as place:
        (place / "page").write_text("text")
        assert not (path / "page").exists()
    assert (path / "page").read_text() == "text"
    assert [entry.name for entry in path.parent.iterdir()] == ["new"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("damaged")])
def test_what_goes_wrong_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "new") as place:
            (place / "page").touch()
            raise error

    with pytest.raises(type(error)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="exists already and is not empty"), new_folder(tmp_path):
        pass
    with pytest.raises(DataError, match="cannot be made"), new_folder(tmp_path / "file/x"):
        pass
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match="new cannot be written: No space"):  # noqa: SIM117
        with new_folder(tmp_path / "new"):
            raise full
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "new"):
        (tmp_path / "absent").read_text()
