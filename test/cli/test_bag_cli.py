# SPDX-License-Identifier: Apache-2.0
"""armseg bag, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import totes

from armseg_ros.cli.main import main
from armseg_ros.data.coco import read_coco


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_there_and_back(tmp_path: Path, storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = totes.write_coco(tmp_path / "coco", "val")
    bag, back = tmp_path / "bag", tmp_path / "back"
    assert main(["bag", str(folder), str(bag), "--split", "val", "--storage", storage]) == 0
    assert main(["bag", "--extract", str(bag), str(back)]) == 0
    assert capsys.readouterr().out == f"{bag}: 4 pictures\n{back}: 4 pictures\n"
    names = [sample.sample_id for sample in read_coco(back, "val").samples]
    assert names == [sample.sample_id for sample in read_coco(folder, "val").samples]


def test_an_existing_bag_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = totes.write_coco(tmp_path / "coco")
    assert main(["bag", str(folder), str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"armseg bag: {tmp_path} exists already")


@pytest.mark.parametrize("extract", [False, True])
def test_an_output_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extract: bool
) -> None:
    source, out = totes.write_coco(tmp_path / "coco"), tmp_path / "file/out"
    if extract:
        assert main(["bag", str(source), str(tmp_path / "bag")]) == 0
        source = tmp_path / "bag"
    (tmp_path / "file").touch()
    assert main(["bag", str(source), str(out), *(["--extract"] if extract else [])]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error
    assert error.count("\n") == 1


def test_interrupted_it_says_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, bag, back = totes.write_coco(tmp_path / "coco"), tmp_path / "bag", tmp_path / "back"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("armseg_ros.data.bag.write._compressed", interrupt)
        assert main(["bag", str(folder), str(bag)]) == 130
    assert capsys.readouterr().err == f"armseg bag: interrupted; {bag} was not written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["coco"]
    assert main(["bag", str(folder), str(bag)]) == 0
    monkeypatch.setattr("armseg_ros.data.bag.extract.truth_records", interrupt)
    assert main(["bag", "--extract", str(bag), str(back)]) == 130
    error = capsys.readouterr().err
    assert f"interrupted; {back} has pictures, but no annotation file; the same command" in error
    monkeypatch.undo()
    assert main(["bag", "--extract", str(bag), str(back)]) == 0
    assert len(read_coco(back, "test").samples) == 4
