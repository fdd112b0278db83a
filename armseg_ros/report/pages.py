# SPDX-License-Identifier: Apache-2.0
"""Templates to files. Everything a template prints is escaped; data for scripts is JSON."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
PLOTLY = "plotly.min.js"
DASH = "\N{EN DASH}"


def write_static(folder: Path, names: tuple[str, ...]) -> None:
    """Copy style sheets and scripts, and write plotly's own script once."""
    for name in names:
        shutil.copyfile(STATIC / name, folder / name)
    script = plotly.offline.get_plotlyjs()
    (folder / PLOTLY).write_text(script, encoding="utf-8")


def write_page(folder: Path, name: str, **content: Any) -> None:
    """Render the template of this name into the folder."""
    text = environment().get_template(name).render(**content)
    (folder / name).write_text(text, encoding="utf-8")


def environment() -> jinja2.Environment:
    """Make the environment of all templates; an unknown name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"figure": figure_text, "interval": interval_text, "percent": percent_text,
                     "milliseconds": milliseconds_text, "integer": integer_text}  # fmt: skip
    return made


def figure_text(value: float | None, digits: int = 3) -> str:
    """Write a share; a dash where it is not measured, as 0 would be a lie."""
    return DASH if value is None or math.isnan(value) else f"{value:.{digits}f}"


def interval_text(ends: tuple[float, float] | None, digits: int = 3) -> str:
    """Write an interval; empty where it is not known."""
    return "" if ends is None else f"{ends[0]:.{digits}f} {DASH} {ends[1]:.{digits}f}"


def percent_text(value: float | None, digits: int = 1) -> str:
    """Write a share as per cent."""
    return DASH if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def milliseconds_text(value: float | None) -> str:
    """Write milliseconds with one digit below 100."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def integer_text(value: int) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
