# SPDX-License-Identifier: Apache-2.0
"""The errors a user can act on: each message says what, where, expected and actual, what to do."""


class ArmsegError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(ArmsegError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(ArmsegError):
    """An image, annotation file or bag is missing, damaged or contradicts itself."""


class BackendError(ArmsegError):
    """A model cannot be loaded or run, or its outputs are not those of a supported network."""


def one_line(error: Exception, longest: int = 300) -> str:
    """Bring the text of another library's error into one line of at most ``longest`` letters."""
    return " ".join(str(error).split())[:longest]
