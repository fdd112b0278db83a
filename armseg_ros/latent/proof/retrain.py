# SPDX-License-Identifier: Apache-2.0
"""Train small networks on chosen pictures; each result is kept in a file, so runs resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armseg_ros.latent.proof.data import write_subset

if TYPE_CHECKING:
    from armseg_ros.train.settings import TrainSettings

BASE = "base"
NETWORK_HW = (160, 192)
BASE_STEPS = 100
STEPS = 24
"""Of batches of 8: 192 views. Small, so that the whole proof fits into some CPU minutes."""
LEARNING_RATE = 5e-4
VAL_LIMIT = 60
"""Pictures that AP is measured on."""


def train_base(folder: Path) -> Path:
    """Fit the shipped weights to the small input on the first pictures; return the ONNX file."""
    model = folder / "base.onnx"
    if model.exists():
        return model
    from armseg_ros.models import default_weights_path
    from armseg_ros.train.export import export_onnx, read_source

    settings = _settings(folder, folder / "base", default_weights_path(), BASE_STEPS, 0)
    _keep(folder, BASE, _train(settings, folder / "base_training"))
    export_onnx(read_source(folder / "base_training"), model, NETWORK_HW)
    return model


def evaluate_pool(folder: Path, model: Path) -> Path:
    """Measure the base model on the pictures that it has not seen; return the run folder."""
    run = folder / "run"
    if (run / "summary.json").exists():
        return run
    from armseg_ros.backends.base import open_backend
    from armseg_ros.data.source import open_source
    from armseg_ros.evaluate.answer import InProcess
    from armseg_ros.evaluate.run import evaluate
    from armseg_ros.evaluate.settings import EvaluateConfig

    shutil.rmtree(run, ignore_errors=True)  # of an interrupted attempt
    config = EvaluateConfig(score_threshold=0.01, overlays=0)
    backend = open_backend(model, threads=1)
    try:
        evaluate(open_source(folder / "pool"), InProcess(backend, config.segmenter()), config, run)
    finally:
        backend.close()
    return run


def average_precision(folder: Path, name: str, sample_ids: Iterable[str], seed: int) -> float:
    """Go on with the base model on some pictures; return the Object mask AP on the validation set.

    The result of ``BASE`` is that of the base model itself, which is there once it is trained.

    Args:
        folder: Of the proof.
        name: Of this training; its result is kept in ``results/NAME.json``.
        sample_ids: Pictures to train on.
        seed: Of order and augmentation.
    """
    result = folder / "results" / f"{name}.json"
    if result.exists():
        return float(json.loads(result.read_text(encoding="utf-8"))["object_ap"])
    subset = write_subset(folder, name, sample_ids)
    settings = _settings(folder, subset, folder / "base_training" / "best.pt", STEPS, seed)
    metrics = _train(settings, folder / "trainings" / name)
    shutil.rmtree(folder / "trainings" / name)  # checkpoints of 60 MB
    _keep(folder, name, metrics)
    return float(metrics["object_ap"])


def _keep(folder: Path, name: str, metrics: dict[str, Any]) -> None:
    result = folder / "results" / f"{name}.json"
    result.parent.mkdir(exist_ok=True)
    result.write_text(json.dumps(metrics), encoding="utf-8")


def _train(settings: TrainSettings, run: Path) -> dict[str, Any]:
    from armseg_ros.train import loop

    shutil.rmtree(run, ignore_errors=True)  # of an interrupted attempt
    return loop.train(settings, run)


def _settings(folder: Path, data: Path, weights: Path, steps: int, seed: int) -> TrainSettings:
    from armseg_ros.train.settings import SizeStage, TrainSettings

    return TrainSettings(
        data=(str(data),),
        val=str(folder / "val"),
        weights=str(weights),
        sizes=(SizeStage(*NETWORK_HW),),
        steps=steps,
        learning_rate=LEARNING_RATE,
        freeze=3,
        checks=1,
        val_limit=VAL_LIMIT,
        threads=1,
        workers=1,
        seed=seed,
    )
