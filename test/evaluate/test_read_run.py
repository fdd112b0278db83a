# SPDX-License-Identifier: Apache-2.0
"""Reading a run folder back, whole, interrupted, older and damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import totes
from oracle import Oracle

from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import read_run
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.shards import SHARDS
from armseg_ros.evaluate.summary import FORMAT_VERSION


@pytest.fixture
def run(tmp_path: Path) -> Path:
    source = open_source(totes.write_coco(tmp_path / "coco"))
    evaluate(source, Oracle(source), EvaluateConfig(), tmp_path / "run")
    return tmp_path / "run"


def test_what_was_written_comes_back(run: Path) -> None:
    read = read_run(run)
    assert read.summary == json.loads((run / "summary.json").read_text())
    assert read.config["source"].endswith("coco")
    ids = ["sample_id", "image_id", "status"]  # NaN in other columns equals nothing
    assert read.samples.select(ids).equals(pq.read_table(run / "samples.parquet", columns=ids))
    assert read.instances.num_rows == pq.read_table(run / "instances.parquet").num_rows > 0
    assert read.read_instances(["score"]).schema.names == ["score"]
    assert "features" not in read_run(run, features=False).samples.schema.names
    some = read.read_instances(["kind", "score"], where=pc.field("score") > 0.5, compact=True)
    assert 0 < some.num_rows < read.instances.num_rows
    assert set(some["kind"].to_pylist()) == {"prediction"}
    assert read.missing == ""


def test_an_interrupted_run_says_what_it_lacks(run: Path) -> None:
    def interrupt(summary: dict[str, Any]) -> None:
        summary["complete"] = False
        summary["frames"]["total"] = 9

    totes.edit_json(run / "summary.json", interrupt)
    missing = read_run(run).missing
    assert missing == f"{run} was interrupted: it holds 4 of 9 pictures, 5 are missing"


def _kill(run: Path) -> None:
    (run / "summary.json").unlink()
    (run / "samples.parquet").write_bytes(b"PAR1")


def _set_format(number: Any) -> Callable[[Path], None]:
    return lambda run: totes.edit_json(
        run / "summary.json", lambda summary: summary.update(format=number)
    )


def _drop_column(run: Path) -> None:
    path = run / "samples.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["objects_missed"]), path)


def _empty(run: Path) -> None:
    for path in run.iterdir():
        if path.is_file():
            path.unlink()


def _stop_between_shards(run: Path) -> None:
    _empty(run)
    (run / SHARDS).mkdir()


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "killed": (_kill, "killed before its end"),
    "older": (_set_format(FORMAT_VERSION - 1), "older version .*evaluate again$"),
    "newer": (_set_format(FORMAT_VERSION + 1), "newer version .*update armseg_ros$"),
    "no format": (_set_format("x"), "names no format"),
    "no column": (_drop_column, "older version .samples.parquet lacks the column objects_missed"),
    "no table": (lambda run: (run / "samples.parquet").unlink(), "missing or not closed"),
    "broken summary": (lambda run: (run / "summary.json").write_text("{"), "cannot be read"),
    "half a summary": (
        lambda run: totes.edit_json(run / "summary.json", lambda summary: summary.pop("model")),
        r"summary\.json: lacks model; evaluate again$",
    ),
    "no config": (lambda run: (run / "config.yaml").unlink(), "cannot be read"),
    "odd config": (lambda run: (run / "config.yaml").write_text("3"), "expected settings"),
    "stopped between shards": (_stop_between_shards, "once more with --resume$"),
    "no run": (_empty, "expected a run of 'armseg evaluate'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence(run: Path, fault: str) -> None:
    damage, sentence = FAULTS[fault]
    damage(run)
    with pytest.raises(DataError, match=sentence) as error:
        read_run(run)
    assert "\n" not in str(error.value)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run folder"):
        read_run(tmp_path / "nothing")


def test_a_table_with_damaged_rows(run: Path) -> None:
    path = run / "samples.parquet"
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"samples\.parquet: damaged .*evaluate again$"):
        read_run(run)


def test_instances_that_cannot_be_read(run: Path) -> None:
    (run / "instances.parquet").write_bytes(b"PAR1")
    read = read_run(run)  # the samples are fine
    with pytest.raises(DataError, match=r"instances\.parquet: missing or not closed"):
        _ = read.instances
