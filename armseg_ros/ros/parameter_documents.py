# SPDX-License-Identifier: Apache-2.0
"""Write the table of parameters into config/segmenter.yaml and README.md of a source tree.

python -m armseg_ros.ros.parameter_documents
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from armseg_ros.ros.parameters import PARAMETERS, NodeParameter

WIDTH = 98
HEAD = "| parameter | default | allowed | when | |\n|---|---|---|---|---|\n"
INTRODUCTION = """\
# Parameters of the segmenter node, with their defaults; made of armseg_ros/ros/parameters.py.
# [live] follows `ros2 param set` from the next image on, [reload] from the next ~/reload_model on,
# [start] is read once.
/**:
  ros__parameters:
"""


def default_text(parameter: NodeParameter) -> str:
    """Write the default as YAML."""
    return json.dumps(parameter.default)


def as_yaml() -> str:
    """Write the file of parameters."""
    return INTRODUCTION + "".join(_yaml_entry(parameter) for parameter in PARAMETERS)


def _yaml_entry(parameter: NodeParameter) -> str:
    allowed = f" ({parameter.allowed()})" if parameter.allowed() else ""
    lines = textwrap.wrap(
        f"[{parameter.when}] {parameter.description}{allowed}",
        WIDTH,
        initial_indent="    # ",
        subsequent_indent="    # ",
        break_on_hyphens=False,
    )
    return "\n".join([*lines, f"    {parameter.name}: {default_text(parameter)}", ""])


def as_markdown() -> str:
    """Write the table of README.md."""
    rows = [
        f"| `{parameter.name}` | `{default_text(parameter)}` | {parameter.allowed()} "
        f"| {parameter.when} | {parameter.description} |\n"
        for parameter in PARAMETERS
    ]
    return HEAD + "".join(rows)


def replace_table(text: str) -> str:
    """Put the table in place of the one in a text that has one.

    Raises:
        ValueError: The text has no table of parameters.
    """
    start = text.index(HEAD)
    end = text.index("\n\n", start) + 1
    return text[:start] + as_markdown() + text[end:]


def main() -> None:
    """Write both documents of the source tree that this module lies in."""
    root = Path(__file__).parents[2]
    (root / "config" / "segmenter.yaml").write_text(as_yaml(), encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(replace_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
