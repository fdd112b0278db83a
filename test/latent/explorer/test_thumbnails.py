# SPDX-License-Identifier: Apache-2.0
"""Small pictures in sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from runs import picture_color, write_pictures, write_run

pytest.importorskip("sklearn", reason="the latent space needs scikit-learn (extra 'latent')")

from armseg_ros.latent.explorer import thumbnails
from armseg_ros.latent.explorer.thumbnails import Thumbnails, write_thumbnails
from armseg_ros.latent.features import Population, load_population


def population(folder: Path, count: int, **options: Any) -> Population:
    names = [f"picture_0_{number:06d}.jpg" for number in range(count)]
    pictures = write_pictures(folder / "pictures", names)
    return load_population([write_run(folder / "run", count, source=pictures, **options)])


def color_at(sheets: Path, made: Thumbnails, row: int) -> np.ndarray:
    """BGR in the middle of a picture's place."""
    sheet, place = divmod(int(made.slots[row]), thumbnails.PER_SHEET)
    image = cv2.imread(str(sheets / f"{sheet:04d}.jpg"))
    top = place // thumbnails.PER_ROW * made.height + made.height // 2
    left = place % thumbnails.PER_ROW * made.width + made.width // 2
    return image[top, left].astype(int)


def test_every_picture_is_in_its_place(tmp_path: Path) -> None:
    made = write_thumbnails(population(tmp_path, 70), tmp_path / "sheets")
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["0000.jpg", "0001.jpg"]
    assert (made.width, made.height, made.count) == (160, 136, 70)
    assert made.notes == ()
    for row in (0, 9, 63, 64, 69):
        found = color_at(tmp_path / "sheets", made, row)
        assert np.abs(found - picture_color(row)).max() < 12, row


def test_many_pictures_become_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MOST_BYTES", 12_000)
    made = write_thumbnails(population(tmp_path, 30), tmp_path / "sheets")
    assert made.width < 160
    assert made.count == 30
    assert sum(path.stat().st_size for path in (tmp_path / "sheets").iterdir()) < 12_000


def test_what_does_not_fit_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_BYTES", 500)
    made = write_thumbnails(population(tmp_path, 70), tmp_path / "sheets")
    assert made.count == 64
    assert (made.slots < 0).sum() == 6
    assert made.notes == ("Pictures without a thumbnail, to keep this folder small: 6.",)


def test_a_picture_that_is_gone_has_none(tmp_path: Path) -> None:
    found = population(tmp_path, 5)
    (tmp_path / "pictures" / "picture_0_000002.jpg").unlink()
    (tmp_path / "pictures" / "picture_0_000003.jpg").write_bytes(b"\xff\xd8 no picture")
    made = write_thumbnails(found, tmp_path / "sheets")
    assert made.slots.tolist() == [0, 1, -1, -1, 2]
    assert made.notes == ("Pictures that could not be read again for a thumbnail: 2.",)


def test_pictures_that_moved(tmp_path: Path) -> None:
    found = population(tmp_path, 3)
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    lost = write_thumbnails(found, tmp_path / "sheets")
    assert lost.count == 0
    assert "No thumbnails of run" in lost.notes[0]
    assert not (tmp_path / "sheets").exists()
    assert write_thumbnails(found, tmp_path / "sheets", tmp_path / "elsewhere").count == 3


def test_a_run_of_several_sources(tmp_path: Path) -> None:
    names = [f"picture_0_{number:06d}.png" for number in range(4)]
    parts = {
        name: str(write_pictures(tmp_path / name, part))
        for name, part in (("day", names[:2]), ("night", names[2:]))
    }

    def change(columns: dict[str, Any]) -> dict[str, Any]:
        return columns | {
            "sample_id": [f"{'day' if n < 2 else 'night'}/{name}" for n, name in enumerate(names)]
        }

    run = write_run(tmp_path / "run", 4, change=change)
    (run / "config.yaml").write_text(yaml.safe_dump({"source": parts, "split": None}))
    assert write_thumbnails(load_population([run]), tmp_path / "s").slots.tolist() == [0, 1, 2, 3]
