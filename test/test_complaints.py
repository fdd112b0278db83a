# SPDX-License-Identifier: Apache-2.0
"""The table of complaints names tests and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    row.strip("| \n").split(" | ")
    for row in (ROOT / "docs" / "complaints.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", row)
]


def test_all_thirty_have_an_answer() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 31))
    for number, _, answer, held_by in ROWS:
        assert re.match(r"yes|partly|no\b", answer), number
        assert "`" in held_by, number


def test_what_holds_them_is_there() -> None:
    named = [name for row in ROWS for name in re.findall(r"`([^`]+)`", row[3])]
    assert len(named) > 40
    for name in named:
        file, _, test = name.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, name
