# SPDX-License-Identifier: Apache-2.0
"""The bundled typefaces: all there, all licensed, all readable."""

from __future__ import annotations

import numpy as np
import pytest

from armseg_ros.synthetic import lettering
from armseg_ros.synthetic.canvas import Canvas
from armseg_ros.synthetic.grid import Grid
from armseg_ros.synthetic.lettering import DISPLAY_FACES, PLAIN_FACES, Ink, phrase, write

FONTS = lettering.__file__.removesuffix("lettering.py") + "fonts"


@pytest.mark.parametrize("face", sorted({*DISPLAY_FACES, *PLAIN_FACES}))
def test_every_face_writes(face: str) -> None:
    canvas = Canvas(Grid(20, 4, 10))
    length = write(canvas, "Thank you 2lb", (1, 1), Ink(2, (0, 0, 0), face))
    assert 4 < length < 19
    assert (canvas.pixels < 100).any()
    assert (canvas.pixels[:, 0] == 255).all()


def test_every_family_carries_the_open_font_licence() -> None:
    from pathlib import Path

    folders = [folder for folder in Path(FONTS).iterdir() if folder.is_dir()]
    assert 5 <= len(folders) <= 12
    for folder in folders:
        text = (folder / "OFL.txt").read_text("utf-8")
        assert "SIL OPEN FONT LICENSE Version 1.1" in text
        assert text.startswith("Copyright")
    size = sum(path.stat().st_size for path in Path(FONTS).rglob("*") if path.is_file())
    assert size < 1_200_000


def test_print_too_small_to_read_is_a_grey_bar() -> None:
    canvas = Canvas(Grid(10, 2, 6))
    length = write(canvas, "twelve words", (1, 1), Ink(0.3, (0, 0, 0), PLAIN_FACES[0]))
    assert length > 1
    assert 100 < canvas.pixels.min() < 200


def test_phrases_repeat_with_the_seed() -> None:
    first = [phrase(np.random.default_rng(3), 4) for _ in range(2)]
    assert first[0] == first[1]
    assert len(first[0].split()) == 4
