# SPDX-License-Identifier: Apache-2.0
"""``armseg explore`` as it is called."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
from runs import write_run

pytest.importorskip("sklearn", reason="the explorer needs scikit-learn (extra 'latent')")
pytest.importorskip("jinja2", reason="the explorer needs jinja2 (extra 'latent')")

from armseg_ros.cli.main import main


def test_writes_a_page_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = write_run(tmp_path / "run", 12), tmp_path / "out"
    assert main(["explore", str(run), "-o", str(out), "--map", "pca"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "No thumbnails of run" in lines[0]
    assert lines[-1] == f"open {out / 'index.html'}"
    assert (out / "index.html").is_file()


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", 3)
    out = ["-o", str(tmp_path / "out")]
    for arguments, words in (
        ([str(tmp_path / "none")], "no such run folder"),
        ([str(run), "--neighbours", "0"], "neighbours is 0"),
        ([str(run), str(run)], "named twice"),
        ([str(run), "--onto", str(tmp_path)], "found no map.npz"),
        ([str(run), str(tmp_path), "--pictures", str(tmp_path)], "name one run with it"),
    ):
        assert main(["explore", *arguments, *out]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("jinja2", "jinja2")])
def test_what_is_not_installed_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    package: str,
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *rest, **options)

    for part in ("content", "build"):
        monkeypatch.delitem(sys.modules, f"armseg_ros.latent.explorer.{part}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    run = write_run(tmp_path / "run", 3)
    assert main(["explore", str(run), "-o", str(tmp_path / "out")]) == 2
    assert f"needs {package}, which 'pip install armseg_ros[latent]'" in capsys.readouterr().err
