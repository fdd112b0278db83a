# SPDX-License-Identifier: Apache-2.0
"""YAML as far as settings need it: no tags that make objects, no aliases, no bombs."""

from __future__ import annotations

from typing import Any

import yaml

LARGEST_TEXT = 1_000_000  # letters; settings have a few thousand


class _PlainLoader(yaml.SafeLoader):
    """Knows no aliases: nine lines of them unfold to a billion words once a value is printed."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("has an alias; write its value out")
        return super().compose_node(parent, index)


def load_plain_yaml(text: str) -> Any:
    """Read a YAML document of plain values.

    Raises:
        ValueError: It is no YAML, nests too deeply, holds tags or aliases, or is too long.
    """
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"has {len(text)} letters, more than {LARGEST_TEXT}")
    try:
        return yaml.load(text, Loader=_PlainLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("nests too deeply") from error
