# SPDX-License-Identifier: Apache-2.0
"""Put the runs of many sources together, one after the other, without a picture or a mask.

The result is the run that one evaluation of the joined sources would have left, overlays aside:
those stay in the folders of the shards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from armseg_ros.data.joined import NamedSource
from armseg_ros.errors import DataError
from armseg_ros.evaluate import summary as summaries
from armseg_ros.evaluate.coco import MaskAndBoxScorer
from armseg_ros.evaluate.documents import JsonList, write_ground_truth
from armseg_ros.evaluate.flag_summary import make_sheet
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.tables import INSTANCES, SAMPLES
from armseg_ros.quality.model import QualityModel
from armseg_ros.quality.table import TABLE_NAME, QualityTable, join_tables, load_table, save_table

MATCHES, TALLY = "matches.npz", "tally.json"
"""What a shard leaves beside a usual run, to be merged from."""
_NOT_ALWAYS = ("predictions_unlabelled.json", "ground_truth.json", TABLE_NAME, "summary.json")
"""What some runs have not; of a former merge of other sources it must not stay."""
_SAMPLE_NAMES, _IMAGE_NUMBERS = ("sample_id", "fname"), ("image_id", "idx")


@dataclass(frozen=True, slots=True)
class ShardRun:
    """A shard that was evaluated.

    Attributes:
        source: What it was made from.
        folder: Its run folder.
    """

    source: NamedSource
    folder: Path


def merge(
    run: Path,
    shards: Sequence[ShardRun],
    config: EvaluateConfig,
    errors: dict[str, str],
    flags: QualityModel | None,
) -> dict[str, Any]:
    """Write tables, COCO documents, settings and summary of all shards into the run folder.

    Args:
        run: The run folder; what a former merge left there is replaced.
        shards: In the order of their sources; one of them is in memory at a time.
        config: Settings that all of them were evaluated with.
        errors: Why a source is missing among them, by name; the run is incomplete for it.
        flags: What judged the pictures, to be checked on all of them.

    Returns:
        The summary as written.

    Raises:
        DataError: No shard was evaluated, or one was damaged since.
    """
    if not shards:
        first, reason = next(iter(errors.items()), ("", "nothing was evaluated"))
        raise DataError(f"none of the sources could be evaluated; first {first}: {reason}")
    for name in _NOT_ALWAYS:
        (run / name).unlink(missing_ok=True)
    merger = _Merger(run, any(_read(s.folder, "summary.json")["data"]["has_truth"] for s in shards))
    tally = summaries.Tally(config.operating_threshold, config.group_by)
    scorer, parts, tables = MaskAndBoxScorer(), [], []
    for shard in shards:
        numbers = merger.add(shard)
        tally.take(_read(shard.folder, TALLY), f"{shard.source.name}/", numbers)
        scorer.take(shard.folder / MATCHES, numbers)
        parts.append(_read(shard.folder, "summary.json"))
        tables += _quality_table(shard, keep_groups=bool(config.group_by))
    merger.close()
    summary = _summary(shards, parts, errors)
    status = tally.status
    summary["frames"] = {
        "total": sum(status.values()),
        **status,
        "unanswered": tally.unanswered,
    }
    summary["accuracy"] = summaries.accuracy(scorer, tally)
    table = join_tables(tables) if tables else None
    if table is not None:
        save_table(table, run / TABLE_NAME)
    sheet, no_sheet = make_sheet(table, flags)
    counted = tally.flags.counted()
    summary["flags"] = counted | {"sheet": sheet, "no_sheet": no_sheet}
    summary["splits"] = tally.splits.summary()
    summary["times"]["latency_ms"] = summaries.latency(tally)
    _write_config(run, shards)
    text = json.dumps(summary, indent=2, allow_nan=False)
    (run / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def _quality_table(shard: ShardRun, keep_groups: bool) -> list[QualityTable]:
    """Read the features of a shard's pictures under their new names; none without labels."""
    path = shard.folder / TABLE_NAME
    if not path.is_file():
        return []
    table, prefix = load_table(path), f"{shard.source.name}/"
    groups = table.groups if keep_groups else tuple(prefix + name for name in table.groups)
    names = tuple(prefix + name for name in table.sample_ids)
    return [replace(table, sample_ids=names, groups=groups)]


class _Merger:
    """Writes tables and documents; pictures are numbered anew, 1..N."""

    def __init__(self, run: Path, has_truth: bool) -> None:
        self._run, self._has_truth = run, has_truth
        self._samples = pq.ParquetWriter(run / "samples.parquet", SAMPLES)
        self._instances = pq.ParquetWriter(run / "instances.parquet", INSTANCES)
        self._predictions = JsonList(run / "predictions.json")
        self._unlabelled: JsonList | None = None
        self._annotations = JsonList(run / "annotations.json.part") if has_truth else None
        self._images: list[dict[str, Any]] = []
        self._count = self._numbered = 0

    def add(self, shard: ShardRun) -> dict[int, int]:
        """Add a shard; return the new numbers of its pictures by the old ones."""
        samples = _table(shard.folder / "samples.parquet", SAMPLES)
        old = samples["image_id"].to_pylist()
        numbers = {image_id: self._count + n for n, image_id in enumerate(old, 1)}
        self._count += len(old)
        prefix = f"{shard.source.name}/"
        self._samples.write_table(_renamed(samples, prefix, numbers))
        instances = _table(shard.folder / "instances.parquet", INSTANCES)
        self._instances.write_table(_renamed(instances, prefix, numbers))
        self._add_documents(shard.folder, prefix, numbers)
        return numbers

    def _add_documents(self, folder: Path, prefix: str, numbers: dict[int, int]) -> None:
        truth_path = folder / "ground_truth.json"
        labelled = truth_path.is_file()
        records = _renumbered(_read(folder, "predictions.json"), numbers)
        (self._predictions if labelled else self._unlabelled_list()).extend(records)
        if (folder / "predictions_unlabelled.json").is_file():
            rest = _read(folder, "predictions_unlabelled.json")
            self._unlabelled_list().extend(_renumbered(rest, numbers))
        if not labelled or self._annotations is None:
            return
        truth = _read(folder, "ground_truth.json")
        self._images += [
            {**image, "id": numbers[image["id"]], "file_name": prefix + image["file_name"]}
            for image in truth["images"]
        ]
        annotations = _renumbered(truth["annotations"], numbers)
        for number, record in enumerate(annotations, self._numbered + 1):
            record["id"] = number
        self._numbered += len(annotations)
        self._annotations.extend(annotations)

    def _unlabelled_list(self) -> JsonList:
        if not self._has_truth:
            return self._predictions
        if self._unlabelled is None:
            self._unlabelled = JsonList(self._run / "predictions_unlabelled.json")
        return self._unlabelled

    def close(self) -> None:
        """End the files."""
        for file in (self._samples, self._instances, self._predictions, self._unlabelled):
            if file is not None:
                file.close()
        if self._annotations is not None:
            self._annotations.close()
            write_ground_truth(self._run, self._images, self._run / "annotations.json.part")


def _renamed(table: pa.Table, prefix: str, numbers: dict[int, int]) -> pa.Table:
    for name in _SAMPLE_NAMES:
        if name in table.column_names:
            names = pc.binary_join_element_wise(prefix, table[name], "")
            table = table.set_column(table.column_names.index(name), name, names)
    for name in _IMAGE_NUMBERS:
        if name in table.column_names:
            place = table.column_names.index(name)
            old = table[name].to_pylist()
            new = pa.array([numbers.get(i) for i in old], table.schema.field(name).type)
            table = table.set_column(place, name, new)
    return table


def _renumbered(records: list[dict[str, Any]], numbers: dict[int, int]) -> list[dict[str, Any]]:
    return [{**record, "image_id": numbers[record["image_id"]]} for record in records]


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path).select(schema.names).cast(schema)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(
            f"{path}: damaged since it was written; delete {path.parent} and run again"
        ) from error


def _read(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / name}: missing or damaged since it was written; delete {folder} and run "
            "again"
        ) from error


def _summary(
    shards: Sequence[ShardRun], parts: Sequence[dict[str, Any]], errors: dict[str, str]
) -> dict[str, Any]:
    """Make everything of the summary that is not counted."""
    splits = {part["data"]["split"] for part in parts}
    hashes = "".join(part["data"]["content_sha256"] for part in parts)
    first = parts[0]
    return {
        "format": summaries.FORMAT_VERSION,
        "complete": not errors,
        "data": {
            "name": f"{len(shards) + len(errors)} sources",
            "kind": "several",
            "split": splits.pop() if len(splits) == 1 else None,
            "pictures": sum(part["data"]["pictures"] for part in parts),
            "has_truth": any(part["data"]["has_truth"] for part in parts),
            "content_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
            "sources": [
                {"name": s.source.name, "pictures": part["data"]["pictures"]}
                for s, part in zip(shards, parts, strict=True)
            ],
            "missing_sources": errors,
        },
        "model": first["model"]
        | {"backend": ", ".join(sorted({part["model"]["backend"] for part in parts}))},
        "settings": first["settings"],
        "versions": summaries.versions(),
        "times": {
            "started": min(part["times"]["started"] for part in parts),
            "finished": max(part["times"]["finished"] for part in parts),
            "wall_s": sum(part["times"]["wall_s"] for part in parts),
        },
    }


def _write_config(run: Path, shards: Sequence[ShardRun]) -> None:
    """Write the first shard's settings with all sources in the place of its own."""
    config = yaml.safe_load((shards[0].folder / "config.yaml").read_text(encoding="utf-8"))
    config["source"] = {s.source.name: str(s.source.path.resolve()) for s in shards}
    text = yaml.safe_dump(config, sort_keys=False)
    (run / "config.yaml").write_text(text, encoding="utf-8")
