# SPDX-License-Identifier: Apache-2.0
"""Read a run folder that ``armseg evaluate`` wrote; say in one sentence why it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from armseg_ros.data.plain_yaml import load_plain_yaml
from armseg_ros.errors import DataError, shown
from armseg_ros.evaluate.shards import SHARDS
from armseg_ros.evaluate.summary import FORMAT_VERSION
from armseg_ros.evaluate.tables import INSTANCES, SAMPLES

_SECTIONS = ("complete", "data", "model", "settings", "frames", "accuracy", "splits", "flags",
             "versions", "times")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One evaluation on disk.

    Attributes:
        folder: The run folder.
        summary: Its ``summary.json``.
        config: Its ``config.yaml``: source, split, model and settings.
        samples: One row a picture, in the order of the source; columns as in ``tables.SAMPLES``.
    """

    folder: Path
    summary: dict[str, Any]
    config: dict[str, Any]
    samples: pa.Table

    @property
    def missing(self) -> str:
        """One sentence on what an interrupted run lacks; empty where it is complete."""
        if self.summary["complete"]:
            return ""
        frames = self.summary["frames"]
        done = frames["answered"] + frames["dropped"] + frames["failed"]
        return (
            f"{self.folder} was interrupted: it holds {done} of {frames['total']} pictures, "
            f"{frames['total'] - done} are missing"
        )

    @cached_property
    def instances(self) -> pa.Table:
        """One row a prediction or ground truth, as in ``tables.INSTANCES``; read when asked for."""
        return self.read_instances()

    def read_instances(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: pc.Expression | None = None,
        compact: bool = False,
    ) -> pa.Table:
        """Read a part of the instances, which saves memory.

        Args:
            columns: Which columns; None reads all.
            where: Which rows, such as ``pc.field("score") > 0.5``; None reads all.
            compact: Whether text comes as dictionaries: each word once, a number in each row.

        Raises:
            DataError: The table is missing or damaged, or lacks a column.
        """
        path = self.folder / "instances.parquet"
        _check_columns(self.folder, path, INSTANCES)
        words = [f.name for f in INSTANCES if pa.types.is_string(f.type)] if compact else None
        return _read_table(path, columns, filters=where, read_dictionary=words)


def read_run(path: Path, *, features: bool = True) -> Run:
    """Read a run folder.

    Args:
        path: The folder that ``armseg evaluate -o`` wrote.
        features: Whether to read the pooled features, most of the samples' bytes.

    Raises:
        DataError: No run is there, it was killed before it was written, it is damaged, or it was
            written by an older or newer version.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such run folder; 'armseg evaluate SOURCE -o RUN' writes one")
    samples = path / "samples.parquet"
    if not (path / "summary.json").is_file():
        if samples.is_file() or (path / "predictions.json").is_file():
            raise DataError(
                f"{path}: the run was killed before its end: summary.json is missing and the "
                "tables are not closed; evaluate again into another folder"
            )
        if (path / SHARDS).is_dir():
            raise DataError(
                f"{path}: the run was stopped before its shards were merged; give the same "
                "'armseg evaluate' command once more with --resume"
            )
        raise DataError(f"{path}: expected a run of 'armseg evaluate', found no summary.json")
    summary = _read_summary(path)
    _check_columns(path, samples, SAMPLES)
    wanted = [name for name in SAMPLES.names if features or name != "features"]
    return Run(path, summary, _read_config(path), _read_table(samples, wanted))


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({_first_line(error)}); evaluate again") from error
    if not isinstance(summary, dict) or not isinstance(summary.get("format"), int):
        raise DataError(f"{path}: names no format, so it is not the summary of a run")
    if summary["format"] < FORMAT_VERSION:
        raise _older(folder, f"format {summary['format']}, expected {FORMAT_VERSION}")
    if summary["format"] > FORMAT_VERSION:
        raise DataError(
            f"{folder}: the run was written by a newer version (format {summary['format']}, "
            f"expected {FORMAT_VERSION}); update armseg_ros"
        )
    lacking = [name for name in _SECTIONS if name not in summary]
    if lacking:
        raise DataError(f"{path}: lacks {', '.join(lacking)}; evaluate again")
    return summary


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    try:
        config = load_plain_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({_first_line(error)}); evaluate again") from error
    if not isinstance(config, dict):
        raise DataError(f"{path}: expected settings, found {shown(config)}; evaluate again")
    return config


def _check_columns(folder: Path, path: Path, schema: pa.Schema) -> None:
    """Refuse a table that does not open or that lacks a column."""
    try:
        names = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: missing or not closed, as after a kill ({_first_line(error)}); evaluate again"
        ) from error
    lacking = [name for name in schema.names if name not in names]
    if lacking:
        raise _older(folder, f"{path.name} lacks the column {', '.join(lacking[:3])}")


def _read_table(path: Path, columns: Sequence[str] | None = None, **how: Any) -> pa.Table:
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns), **how)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: damaged ({_first_line(error)}); evaluate again") from error


def _older(folder: Path, what: str) -> DataError:
    return DataError(f"{folder}: the run was written by an older version ({what}); evaluate again")


def _first_line(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:1])[:120]
