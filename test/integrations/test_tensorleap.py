# SPDX-License-Identifier: Apache-2.0
"""The binding for Tensorleap, by code-loader's own check of it, and against an evaluation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from armseg_ros.cli.main import main
from armseg_ros.models import default_model_path
from armseg_ros.synthetic import write_coco

pytest.importorskip("code_loader", reason="code-loader is not installed (armseg_ros[tensorleap])")
BINDING = Path(__file__).parents[2] / "integrations/tensorleap"
CHECK = """
import json, sys
from code_loader import LeapLoader

result = LeapLoader(sys.argv[1], "leap_binder.py").check_dataset()
failed = {p.name: str(p.display) for p in result.payloads if not p.is_passed}
setup = result.setup
print(json.dumps({
    "valid": result.is_valid, "error": result.general_error, "failed": failed,
    "inputs": [i.name for i in setup.inputs], "truths": [o.name for o in setup.outputs],
    "metadata": [m.name for m in setup.metadata], "metrics": [m.name for m in setup.metrics],
    "visualizers": [v.name for v in setup.visualizers],
    "losses": [l.name for l in setup.custom_losses],
}))
"""
FIGURES = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import leap_binder as b

figures = {}
for response in b.preprocess_totes():
    for sample_id in response.sample_ids:
        image = b.encode_image(sample_id, response)
        answer = b.open_model().run(None, {"images": image[None]})
        sample = b.SamplePreprocessResponse(np.array([sample_id]), response)
        counts = b.count_splits_and_merges(answer[0], answer[1], sample)
        truth = b.encode_truth(sample_id, response)[None]
        flags = b.read_flags(answer[0], answer[1], sample)
        error = b.picture_error(answer[0], answer[1], truth, sample)
        values = {**counts, **flags, "error": error}
        figures[sample_id] = {name: float(value[0]) for name, value in values.items()}
print(json.dumps(figures))
"""


@pytest.fixture(scope="module")
def totes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorleap") / "totes"
    write_coco(folder, 4, 5, (320, 268), split={"train": 0.5, "val": 0.5})
    return folder


def run(totes: Path, *arguments: str) -> str:
    """Run Python beside the data, without a word to the network."""
    environment = os.environ | {
        "ARMSEG_DATA": str(totes),
        "TL_DISABLE_ANALYTICS": "true",
        "TL_DISABLE_ENGINE_FLOAT16_SIMULATION": "true",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=totes.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def last_json(text: str) -> Any:
    return next(json.loads(line) for line in text.splitlines() if line.startswith("{"))


def test_the_platforms_own_check_passes(totes: Path) -> None:
    found = last_json(run(totes, "-c", CHECK, str(BINDING)))
    assert found["valid"], found
    assert found["failed"] == {}
    assert (found["inputs"], found["truths"]) == (["images"], ["instances"])
    assert len([name for name in found["metadata"] if name.startswith("picture_")]) >= 25
    assert {"splits_and_merges", "flags"} <= set(found["metrics"])
    assert {"prediction", "ground_truth", "boxes"} <= set(found["visualizers"])
    assert "error" in found["losses"]


def test_every_callback_runs_as_the_platform_calls_it(totes: Path) -> None:
    assert run(totes, str(BINDING / "leap_binder.py")).count("Successful!") == 4


def test_the_figures_are_those_of_an_evaluation(totes: Path, tmp_path: Path) -> None:
    figures = last_json(run(totes, "-c", FIGURES, str(BINDING)))
    expected: dict[str, dict[str, Any]] = {}
    for split in ("train", "val"):
        folder = tmp_path / split
        options = ["--split", split, "-o", str(folder), "--overlays", "0"]
        options += ["--backend", "onnxruntime", "--model", str(default_model_path())]
        options += ["--iou-threshold", "0.45"]  # the binding looks at what the node publishes
        assert main(["evaluate", str(totes), *options]) == 0
        rows = pq.read_table(folder / "samples.parquet").to_pylist()
        expected |= {row["sample_id"]: row for row in rows}
    assert len(figures) == len(expected) == 4
    for sample_id, found in figures.items():
        row = expected[sample_id]
        for rule in ("seed", "hoover"):
            for name in ("over", "under", "missed", "noise"):
                assert found[f"{rule}_{name}"] == row[f"{rule}_{name}"]
        wrong = row["objects_false_positives"] + row["objects_missed"]
        hits = 2 * row["objects_true_positives"]
        assert found["error"] == pytest.approx(wrong / (hits + wrong) if hits + wrong else 0)
        for name in ("p_over", "p_under"):
            wanted = -1 if row[name] is None else row[name]
            assert found[name] == pytest.approx(wanted, abs=1e-4)
