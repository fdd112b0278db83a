# SPDX-License-Identifier: Apache-2.0
"""What every error of the package is: one sentence, short, without control characters."""

from __future__ import annotations


def check_sentence(error: Exception, *parts: str) -> None:
    """Hold an error against that, and against ``parts`` that its text must contain."""
    text = str(error)
    assert text.isprintable(), repr(text)
    assert 0 < len(text) < 900, text[:900]
    for part in parts:
        assert part in text
