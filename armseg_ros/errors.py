# SPDX-License-Identifier: Apache-2.0
"""The errors a user can act on: each message says what, where, expected and actual, what to do."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


class ArmsegError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(ArmsegError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(ArmsegError):
    """An image, annotation file or bag is missing, damaged or contradicts itself."""


class BackendError(ArmsegError):
    """A model cannot be loaded or run, or its outputs are not those of a supported network."""


class EngineLostError(BackendError):
    """An engine cannot work any more in this process, which has to be started anew."""


def one_line(error: Exception, longest: int = 300) -> str:
    """Bring the text of another library's error into one line of at most ``longest`` letters.

    Control characters, which a damaged file may have put into it, become question marks.
    """
    text = " ".join(str(error).split())[:longest]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def shown(value: object) -> str:
    """Quote a value of a file or message: one line, short, without control characters.

    Whoever made the file chose the value; a name of a megabyte must not become a line of the log,
    nor an escape sequence reach a terminal.
    """
    return _SHORT.repr(value)
