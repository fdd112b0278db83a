# SPDX-License-Identifier: Apache-2.0
"""Run folders as ``armseg evaluate`` writes them, made up: any number of rows, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from armseg_ros.evaluate.summary import FORMAT_VERSION
from armseg_ros.evaluate.tables import INSTANCES, SAMPLES

CLUSTERS = 8
MODEL_ID = "made_up@0123456789ab"


def write_run(
    folder: Path,
    count: int,
    *,
    dimension: int = 64,
    seed: int = 0,
    split: str | None = "val",
    labelled: bool = True,
    model_id: str = MODEL_ID,
    source: Path | None = None,
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda columns: columns,
) -> Path:
    """Write a run of pictures in a few clusters, the later ones harder.

    Args:
        folder: Where it goes.
        count: Pictures.
        dimension: Length of the features, which surround the centre of the picture's cluster.
        seed: Of everything that is drawn.
        split: Split of the run.
        labelled: Whether there is ground truth.
        model_id: Of the model that is said to have made it.
        source: Where the pictures are said to come from.
        change: Is given the columns of ``samples.parquet`` and returns those to write.
    """
    folder.mkdir(parents=True)
    source = source or folder / "pictures"
    columns = change(sample_columns(count, dimension, seed, labelled))
    rows = len(columns["sample_id"])
    names = {field.name for field in SAMPLES}
    table = pa.table(
        {name: columns.get(name, pa.nulls(rows)) for name in [*SAMPLES.names]}
        | {name: value for name, value in columns.items() if name not in names}
    )
    kinds = [SAMPLES.field(n) if n in names else table.schema.field(n) for n in table.column_names]
    schema = pa.schema(kinds, metadata=SAMPLES.metadata)
    pq.write_table(table.cast(schema), folder / "samples.parquet")
    pq.write_table(INSTANCES.empty_table(), folder / "instances.parquet")
    summary = make_summary(source, rows, split, labelled, model_id)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text(yaml.safe_dump({"source": str(source), "split": split}))
    return folder


def write_pictures(folder: Path, names: list[str], hw: tuple[int, int] = (268, 320)) -> Path:
    """Write pictures of one plain colour each; ``picture_color`` tells which."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        picture = np.full((*hw, 3), picture_color(number), np.uint8)
        assert cv2.imwrite(str(folder / name), picture)
    return folder


def picture_color(number: int) -> tuple[int, int, int]:
    """BGR of the picture of that number; neighbours in number differ much."""
    return (37 * number % 256, 91 * number % 256, 151 * number % 256)


def sample_columns(count: int, dimension: int, seed: int, labelled: bool) -> dict[str, Any]:
    """Columns of ``samples.parquet``; what is not here is null."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(CLUSTERS, dimension))
    cluster = rng.integers(CLUSTERS, size=count)
    features = (centres[cluster] + 0.5 * rng.normal(size=(count, dimension))).astype(np.float32)
    truth = rng.integers(1, 20, size=count)
    found = rng.binomial(truth, 0.95 - 0.1 * cluster)
    columns: dict[str, Any] = {
        "sample_id": [f"picture_{seed}_{index:06d}.jpg" for index in range(count)],
        "image_id": np.arange(count),
        "height": np.full(count, 268),
        "width": np.full(count, 320),
        "stamp_ns": np.arange(count) * 100_000_000,
        "status": ["answered"] * count,
        "reason": [""] * count,
        "labelled": np.full(count, labelled),
        "predictions": found + 1,
        "objects_predicted": found + 1,
        "attributes": [
            json.dumps({"tote_color": ("yellow", "blue")[k % 2], "object_count": int(n)})
            for k, n in zip(cluster, truth, strict=True)
        ],
        "features": pa.FixedSizeListArray.from_arrays(features.ravel(), dimension).cast(
            pa.list_(pa.float32())
        ),
    }
    if labelled:
        columns |= {
            "objects_truth": truth,
            "objects_true_positives": found,
            "objects_false_positives": rng.poisson(1, size=count),
            "objects_missed": truth - found,
        }
    flags = {
        "p_over": rng.beta(1 + cluster, 8),
        "p_under": rng.beta(1, 8, size=count),
        "verdict": np.where(cluster > CLUSTERS // 2, "likely_over", "ok"),
    }
    return columns | {name: value for name, value in flags.items() if name in SAMPLES.names}


def make_summary(
    source: Path, count: int, split: str | None, labelled: bool, model_id: str
) -> dict[str, Any]:
    """The summary of such a run, as far as it is read."""
    return {
        "format": FORMAT_VERSION,
        "complete": True,
        "data": {
            "name": source.name,
            "kind": "images",
            "split": split,
            "pictures": count,
            "has_truth": labelled,
            "content_sha256": "0" * 64,
        },
        "model": {"model_id": model_id, "sha256": "0" * 64, "backend": "made-up"},
        "settings": {"mode": "in process", "operating_threshold": 0.25},
        "frames": {
            "total": count,
            "answered": count,
            "dropped": 0,
            "failed": 0,
            "unanswered": [],
        },
        "accuracy": None,
        "splits": None,
        "flags": None,
        "versions": {},
        "times": {
            "started": "2026-11-25T00:00:00+00:00",
            "finished": "2026-11-25T00:00:01+00:00",
            "wall_s": 1.0,
            "latency_ms": {},
        },
    }
