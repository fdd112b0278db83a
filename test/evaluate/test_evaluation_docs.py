# SPDX-License-Identifier: Apache-2.0
"""docs/evaluation.md says what the code does: columns, parameters, and the way to check AP."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import totes
from oracle import Oracle

from armseg_ros.data.source import open_source
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.tables import INSTANCES, SAMPLES

TEXT = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"\n##+ ", TEXT.split(f" {title}\n", 1)[1])[0]


@pytest.mark.parametrize(("title", "schema"), [("samples.parquet", SAMPLES),
                                               ("instances.parquet", INSTANCES)])  # fmt: skip
def test_every_column_is_described(title: str, schema: object) -> None:
    described = [
        name
        for line in section(title).splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    assert sorted(described) == sorted(schema.names)  # type: ignore[attr-defined]


def test_every_parameter_is_described_with_its_default() -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    from armseg_ros.ros.evaluator_node import PARAMETERS

    rows = re.findall(r"^\| `(\w+)` \| (\S*?) ?\| (.+?) \|$", section("Live"), re.MULTILINE)
    found = {name: (default.strip("`"), text) for name, default, text in rows}
    expected = {
        name: (
            str(default).lower() if isinstance(default, bool) else str(default) or '""',
            text,
        )
        for name, (default, text) in PARAMETERS.items()
    }
    for name in ("source", "run"):
        expected[name] = ("", expected[name][1])
    assert found == expected


def test_the_snippet_gives_the_figures_of_the_summary(tmp_path: Path) -> None:
    source = open_source(totes.write_coco(tmp_path / "coco", count=6))
    summary = evaluate(source, Oracle(source), EvaluateConfig(), tmp_path / "run")
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    printed = subprocess.run(
        [sys.executable, "-c", code + "\nprint(repr(float(evaluation.stats[0])))"],
        cwd=tmp_path / "run", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    ap = float(printed.splitlines()[-1])
    assert summary["accuracy"]["mask"]["Object"]["ap"] == pytest.approx(ap, abs=1e-9)
