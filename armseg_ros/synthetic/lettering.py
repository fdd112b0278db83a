# SPDX-License-Identifier: Apache-2.0
"""Words and the bundled typefaces (all under the SIL Open Font License, see fonts/*/OFL.txt)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from armseg_ros.synthetic.canvas import Canvas, Color
from armseg_ros.synthetic.grid import FloatMap, as_float
from armseg_ros.synthetic.words import SYLLABLES, WORDS

_FONTS = Path(__file__).parent / "fonts"
PLAIN_FACES = (
    "karla/Karla-Regular.otf",
    "archivo_narrow/ArchivoNarrow-wght.ttf",
    "arvo/Arvo-Regular.ttf",
    "courier_prime/CourierPrime.otf",
)
DISPLAY_FACES = (
    "karla/Karla-Bold.otf",
    "anton/Anton-Regular.ttf",
    "bebas_neue/BebasNeue-Regular.ttf",
    "abril_fatface/AbrilFatface-Regular.ttf",
    "alfa_slab_one/AlfaSlabOne-Regular.ttf",
    "acme/Acme-Regular.ttf",
    "lobster/Lobster.otf",
    "arvo/Arvo-BoldItalic.ttf",
    *PLAIN_FACES,
)
_SMALLEST_LETTER_PX = 4  # below this a line of print is only a grey bar


def word(rng: np.random.Generator) -> str:
    """Return a word of packaging English, or an invented brand."""
    if rng.random() < 0.7:
        return WORDS[int(rng.integers(len(WORDS)))]
    return "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4))).tolist())


def phrase(rng: np.random.Generator, words: int) -> str:
    """Return `words` words in capitals, title case or as they are."""
    text = " ".join(word(rng) for _ in range(words))
    case = rng.random()
    return text.upper() if case < 0.5 else text.title() if case < 0.9 else text


def display_face(rng: np.random.Generator) -> str:
    """Choose a face for headlines."""
    return DISPLAY_FACES[int(rng.integers(len(DISPLAY_FACES)))]


def plain_face(rng: np.random.Generator) -> str:
    """Choose a face for small print."""
    return PLAIN_FACES[int(rng.integers(len(PLAIN_FACES)))]


@dataclass(frozen=True, slots=True)
class Ink:
    """How a line is written: em size in cm, BGR colour, a face of this module, letter width."""

    size_cm: float
    color: Color
    face: str
    stretch: float = 1.0
    upright: bool = False  # turned a quarter, to run up the sheet


def write(canvas: Canvas, text: str, at: tuple[float, float], ink: Ink) -> float:
    """Write one line with its upper left corner `at` (x, y in cm) and return its length in cm.

    Characters a face lacks come out as its empty box; what leaves the sheet is cut off.
    """
    density = canvas.grid.density
    size_px = round(ink.size_cm * density)
    if size_px < _SMALLEST_LETTER_PX:
        rows, columns = max(1, round(size_px * 0.5)), len(text) * 0.45 * ink.size_cm * density
        alpha = np.full((rows, max(1, round(columns * ink.stretch))), 0.45, np.float32)
    else:
        alpha = _line(text, ink.face, size_px)
        if ink.stretch != 1.0:
            alpha = as_float(cv2.resize(alpha, None, fx=ink.stretch, fy=1.0))
    length_cm = alpha.shape[1] / density
    canvas.blend(ink.color, np.rot90(alpha).copy() if ink.upright else alpha, *at)
    return length_cm


@lru_cache(maxsize=256)
def _font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine is the one every Pillow build has: the same letters on every machine.
    return ImageFont.truetype(str(_FONTS / face), size_px, layout_engine=ImageFont.Layout.BASIC)


def _line(text: str, face: str, size_px: int) -> FloatMap:
    font = _font(face, size_px)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    picture = Image.new("L", (max(1, right - left) + 2, max(1, bottom - top) + 2))
    ImageDraw.Draw(picture).text((1 - left, 1 - top), text, 255, font=font)
    return np.asarray(picture, np.float32) / np.float32(255)
