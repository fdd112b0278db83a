# SPDX-License-Identifier: Apache-2.0
"""Every name of TensorRT that is used exists in 10.3, 10.13 and 11.4.

``api_names.json`` has the members of each class as the bindings of these versions on PyPI show them
(``dir()`` after an import with stand-ins for the libraries, which are not on PyPI).
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from armseg_ros.backends.tensorrt import builder

ROOM = Path(builder.__file__).parent
NAMES = json.loads(Path(__file__).with_name("api_names.json").read_text())
CLASS_OF = {  # what a variable of that name holds, wherever it stands in the room
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "cache": "ITimingCache",
    "runtime": "Runtime",
    "_engine": "ICudaEngine",
    "_context": "IExecutionContext",
}
USERS = ("builder.py", "network.py", "messages.py")


def uses() -> set[tuple[str, str]]:
    """Class and member of every use; classes themselves as ("", class)."""
    found = set()
    for name in USERS:
        for node in ast.walk(ast.parse((ROOM / name).read_text())):
            if not isinstance(node, ast.Attribute):
                continue
            owner = node.value
            if isinstance(owner, ast.Attribute) and getattr(owner.value, "id", "") == "api":
                if node.attr != "__init__":
                    found.add((owner.attr, node.attr))
            elif getattr(owner, "id", "") == "api":
                found.add(("", node.attr))
            elif (variable := getattr(owner, "id", getattr(owner, "attr", ""))) in CLASS_OF:
                found.add((CLASS_OF[variable], node.attr))
    return found


@pytest.mark.parametrize("version", NAMES)
def test_every_name_exists(version: str) -> None:
    known, used = NAMES[version], uses()
    assert len(used) > 30
    for owner, member in used:
        if owner:
            assert member in known[owner], f"TensorRT {version} has no {owner}.{member}"
        else:
            assert member in known, f"{member} is not among the recorded classes"
    overridden = {"phase_start", "step_complete", "phase_finish"}
    assert overridden <= set(known["IProgressMonitor"])
    assert "log" in known["ILogger"]


def test_recorded_names_tell_the_versions_apart() -> None:
    """Else the test above could not fail."""
    assert "EXPLICIT_BATCH" in NAMES["10.3.0"]["NetworkDefinitionCreationFlag"]
    assert "EXPLICIT_BATCH" not in NAMES["11.4.0.106"]["NetworkDefinitionCreationFlag"]
    assert "platform_has_fast_fp16" not in NAMES["11.4.0.106"]["Builder"]


def test_no_context_of_its_own() -> None:
    """Neither pycuda's own context at import nor a second one beside TensorRT's.

    Other folders cannot: pycuda is imported in this one alone, which another test holds.
    """
    for path in ROOM.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        imports = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        imports |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert "make_context" not in names, path
        assert not any("autoinit" in (name or "") for name in imports | names), path
