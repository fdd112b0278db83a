# SPDX-License-Identifier: Apache-2.0
"""The training loop: batches in, checkpoints and a log out, resumable at any checkpoint."""

from __future__ import annotations

import fcntl
import itertools
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from tqdm import tqdm

from armseg_ros.data.coco import Sample
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.train import checkpoint
from armseg_ros.train.batches import Batch, BatchMaker, stream
from armseg_ros.train.history import METRICS, History, Meter, Row
from armseg_ros.train.loss import segmentation_loss
from armseg_ros.train.model import YoloV5Seg
from armseg_ros.train.optimize import (
    freeze,
    make_optimizers,
    open_device,
    set_training,
    uses_bf16,
)
from armseg_ros.train.pictures import PictureStore, check_picture, read_samples
from armseg_ros.train.schedule import Clock, WeightAverage, learning_rate_factor, size_at
from armseg_ros.train.settings import TrainSettings, format_settings
from armseg_ros.train.validate import validate
from armseg_ros.types import CLASS_NAMES

log = logging.getLogger(__name__)

REPORT_STEPS = 50
"""Steps between two rows of the log."""
CACHE_MARGIN = 1.5
"""Pictures are kept at this multiple of the network size, so that zooming in loses little."""


def train(
    settings: TrainSettings,
    run: Path,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Train a model.

    Args:
        settings: The run's settings.
        run: Folder for ``config.yaml``, ``log.csv``, ``curves.png``, ``last.pt`` (to resume from)
            and ``best.pt`` (best averaged weights by mask AP, mean of the classes).
        resume: Go on from ``run/last.pt``. With the same settings a run by steps or epochs goes on
            exactly as if it had not stopped.
        stop: Asked before every step; where it says True the run writes ``last.pt`` and ends.

    Returns:
        The last validation metrics.

    Raises:
        KeyboardInterrupt: ``stop`` ended the run; it can be resumed.
        ConfigError: A setting does not fit this machine, or another process trains in ``run``.
        DataError: Data or weights cannot be read, or a checkpoint cannot be written.
    """
    trainer = Trainer(settings, run)
    with _only_one_in(run):
        if resume:
            trainer.restore()
        elif settings.weights:
            trainer.start_from(Path(settings.weights))
        checkpoint.write_atomic(
            run / "config.yaml", lambda file: file.write(format_settings(settings).encode())
        )
        return trainer.run(stop)


def _only_one_in(run: Path) -> BinaryIO:
    """Lock the run folder until the file that is returned is closed.

    Raises:
        ConfigError: Another process trains there.
    """
    lock = (run / ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(
            f"{run}: another armseg train is at work there; wait for its end or choose another "
            "folder"
        ) from error
    return lock


class Trainer:
    """State of a run.

    Attributes:
        model: The model in training.
        average: Moving average of its weights, which is what is validated and shipped.
        step: Steps done.
    """

    def __init__(self, settings: TrainSettings, run: Path) -> None:
        self._settings, self._run = settings, run
        self._device = open_device(settings)
        self._bf16 = uses_bf16(settings.precision, self._device)
        train_samples = read_samples([Path(folder) for folder in settings.data], "train")
        val_samples = read_samples([Path(settings.validation_data)], "val")
        self._val: Sequence[Sample] = val_samples[: settings.val_limit]
        for sample in self._val:  # the first check may be hours away
            check_picture(sample)
        longest = max(max(stage.height, stage.width) for stage in settings.sizes)
        pictures = PictureStore(train_samples, round(longest * CACHE_MARGIN), settings.cache_gib)
        log.info("%d training and %d validation pictures", len(pictures), len(self._val))
        self._maker = BatchMaker(pictures, settings.augment, settings.batch_size, settings.seed)
        torch.manual_seed(settings.seed)
        model = YoloV5Seg(len(CLASS_NAMES)).to(self._device)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(self.model, settings.freeze)
        self.average = WeightAverage(self.model, settings.ema_decay)
        self._optimizers = make_optimizers(self.model, settings)
        self._clock = Clock(settings, len(pictures))
        self._pictures = len(pictures)
        self.step = 0
        self._best = -1.0
        self._metrics: dict[str, float] = {}
        try:
            run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{run}: cannot be made ({error}); choose another folder") from error

    def start_from(self, weights: Path) -> None:
        """Load a state dict as the starting point."""
        checkpoint.load_weights(self.model, checkpoint.read_weights(weights), str(weights))
        self.average = WeightAverage(self.model, self._settings.ema_decay)

    def restore(self) -> None:
        """Load everything that ``_save`` wrote."""
        path = self._run / "last.pt"
        state = checkpoint.load(path)
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state(state["average"])
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step = state["step"]
            same_validation = state["val"] == self._validation_name()
            self._best = state["best"] if same_validation else -1.0
            self._clock = Clock(self._settings, self._pictures, state["elapsed_s"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{path}: not a checkpoint that this run can go on from ({error}); "
                "start a new run with --weights"
            ) from error
        log.info("going on from step %d", self.step)

    def run(self, stop: Callable[[], bool]) -> dict[str, float]:
        """Train to the end; return the last validation metrics."""
        history = History(self._run, self.step)
        meter = Meter(lambda: self._clock.elapsed_s)
        batches = stream(self._maker, self.step, self._size_at, self._settings.workers)
        bar = tqdm(total=100, unit="%", disable=None, bar_format="{l_bar}{bar}| {elapsed}{postfix}")
        first_check = math.floor(self._clock.progress(self.step) * self._settings.checks) + 1
        checks = itertools.count(first_check)
        due = next(checks)
        try:
            while (progress := self._clock.progress(self.step)) < 1:
                if stop():
                    self._save(best=False)
                    raise KeyboardInterrupt(f"armseg train --resume {self._run} goes on")
                if progress >= due / self._settings.checks:
                    due = next(checks)
                    self._check(history, meter)
                meter.add(self._train_step(next(batches), progress))
                if self.step % REPORT_STEPS == 0:
                    history.add(self._row(progress, meter.take()))
                    history.write_table()
                bar.n = round(progress * 100, 1)
                bar.set_postfix_str(f"step {self.step}", refresh=False)
                bar.update(0)
            self._check(history, meter)
        finally:
            batches.close()  # type: ignore[attr-defined]
            bar.close()
        return self._metrics

    def _size_at(self, step: int) -> tuple[int, int]:
        return size_at(self._clock.progress(step), self._settings.sizes)

    def _train_step(self, batch: Batch, progress: float) -> dict[str, float]:
        settings = self._settings
        factor = learning_rate_factor(progress, settings.warmup, settings.final_rate)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor
        total, terms = self._loss(batch)
        if math.isfinite(sum(terms.values())):
            self.model.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
            if math.isfinite(norm):
                for optimizer in self._optimizers:
                    optimizer.step()
                self.average.update(self.model)
            else:  # one such step would leave no finite weight, in the next checkpoint either
                terms = dict.fromkeys(terms, math.nan)
        self.step += 1
        return terms

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        device = self._device
        set_training(self.model, self._settings.freeze)
        images = torch.from_numpy(batch.images).to(device, non_blocking=True)
        images = images.permute(0, 3, 1, 2).float().div_(255)  # keeps channels-last memory
        with torch.autocast(device.type, torch.bfloat16, self._bf16):
            output = self.model(images)
        truth = (torch.from_numpy(batch.targets).to(device), torch.from_numpy(batch.labels))
        truth = (truth[0], truth[1].to(device))
        return segmentation_loss(output, self.model.head, truth, self._settings.loss)

    def _check(self, history: History, meter: Meter) -> None:
        """Validate the average, write checkpoints and log, off the training clock."""
        with self._clock.paused():
            self._validate_and_save(history, meter)

    def _validate_and_save(self, history: History, meter: Meter) -> None:
        stage = self._settings.sizes[-1]
        metrics = validate(self.average.model, self._val, (stage.height, stage.width), self._bf16)
        self._metrics = metrics
        row = self._row(self._clock.progress(self.step), meter.take())
        history.add(row | metrics)
        score = mean_mask_ap(metrics)
        best = score > self._best
        self._best = max(self._best, score)
        self._save(best)
        history.write_table()
        history.draw()
        log.info(
            "step %d, %.1f min: Object AP %.3f AP50 %.3f, Tote AP %.3f AP50 %.3f",
            *(self.step, row["minutes"]),
            *(metrics[name] for name in METRICS),
        )

    def _save(self, best: bool) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "step": self.step,
            "best": self._best,
            "val": self._validation_name(),
            "elapsed_s": self._clock.elapsed_s,
            "settings": format_settings(self._settings),
        }
        checkpoint.save(self._run / "last.pt", state)
        if best:
            best_weights = {
                "weights": self.average.model.state_dict(),
                "step": self.step,
                "metrics": self._metrics,
                "settings": format_settings(self._settings),
            }
            checkpoint.save(self._run / "best.pt", best_weights)

    def _validation_name(self) -> str:
        """Name what figures are measured on; those of other pictures or sizes do not compare."""
        stage, settings = self._settings.sizes[-1], self._settings
        return f"{settings.val_limit} of {settings.validation_data} at {stage.height}x{stage.width}"

    def _row(self, progress: float, means: dict[str, float]) -> Row:
        settings = self._settings
        height, width = size_at(progress, settings.sizes)
        factor = learning_rate_factor(progress, settings.warmup, settings.final_rate)
        return {
            "step": self.step,
            "epoch": self.step * settings.batch_size / self._pictures,
            "minutes": self._clock.elapsed_s / 60,
            "learning_rate": settings.learning_rate * factor,
            "height": height,
            "width": width,
            **means,
        }


def mean_mask_ap(metrics: dict[str, float]) -> float:
    """Average mask AP over the classes that validation holds; 0 where it holds none.

    Objects alone would choose weights from before the network has seen the tote at its last size.
    """
    known = [metrics[name] for name in ("object_ap", "tote_ap") if not math.isnan(metrics[name])]
    return sum(known) / len(known) if known else 0.0
