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
