# SPDX-License-Identifier: Apache-2.0
"""The whole loop: it learns two totes by heart, resumes exactly, and survives a full disk."""

import errno
import math

import pytest
import torch

from armseg_ros.backends import processor
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.train import checkpoint, loop, schedule
from armseg_ros.train.augment import NO_AUGMENTATION
from armseg_ros.train.history import Meter, read_history
from armseg_ros.train.loop import mean_mask_ap, train
from armseg_ros.train.loss import segmentation_loss
from armseg_ros.train.model import YoloV5Seg
from armseg_ros.train.optimize import uses_bf16
from armseg_ros.train.settings import SizeStage, TrainSettings


@pytest.fixture
def short(totes) -> TrainSettings:
    return TrainSettings(
        data=(str(totes),), sizes=(SizeStage(64, 96),), steps=6, batch_size=2, checks=2, threads=1
    )


def changed(settings: TrainSettings, **changes) -> TrainSettings:
    values = {name: getattr(settings, name) for name in settings.__slots__}
    return TrainSettings(**(values | changes))


@pytest.mark.timeout(900)  # on two cores 119 s with AVX2 alone, 90 s with AVX-512
def test_two_totes_are_learnt_by_heart_in_200_steps(totes, tmp_path):
    settings = TrainSettings(
        data=(str(totes),),
        sizes=(SizeStage(128, 160),),
        steps=200,
        batch_size=2,
        learning_rate=4e-3,
        checks=1,
        precision="fp32",  # the same on every processor
        augment=NO_AUGMENTATION,
    )
    metrics = train(settings, tmp_path)
    assert metrics["object_ap50"] > 0.95
    assert metrics["tote_ap50"] > 0.95
    rows = read_history(tmp_path / "log.csv")
    assert rows[-1]["object_ap50"] == pytest.approx(metrics["object_ap50"], rel=1e-4)
    assert rows[-1]["mask"] < rows[0]["mask"] / 2
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert len(checkpoint.read_weights(tmp_path / "best.pt")) == 367


def test_a_resumed_run_equals_one_that_never_stopped(short, tmp_path):
    train(short, tmp_path / "whole")
    asked = iter([False, False, False, True])
    with pytest.raises(KeyboardInterrupt):
        train(short, tmp_path / "parts", stop=lambda: next(asked))
    assert checkpoint.load(tmp_path / "parts/last.pt")["step"] == 3
    train(short, tmp_path / "parts", resume=True)
    whole = checkpoint.load(tmp_path / "whole/last.pt")
    parts = checkpoint.load(tmp_path / "parts/last.pt")
    assert parts["step"] == whole["step"] == 6
    assert parts["average"]["updates"] == whole["average"]["updates"]
    for key in ("model", "average", "optimizers"):
        assert_equal(whole[key], parts[key], key)


def assert_equal(a, b, where: str) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for name in a:
            assert_equal(a[name], b[name], f"{where}.{name}")
    elif torch.is_tensor(a):
        assert torch.equal(a, b), where
    elif isinstance(a, list):
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_equal(*pair, f"{where}[{index}]")
    else:
        assert a == b, where


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(short, tmp_path, monkeypatch):
    train(changed(short, steps=1), tmp_path)
    former = (tmp_path / "last.pt").read_bytes()

    def fail(content, file) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(DataError, match=r"last\.pt: cannot be written .*intact"):
        train(changed(short, steps=2), tmp_path, resume=True)
    assert (tmp_path / "last.pt").read_bytes() == former


def test_frozen_layers_stay_as_they_are(short, tmp_path):
    torch.manual_seed(4)
    start = YoloV5Seg(2).state_dict()
    checkpoint.save(tmp_path / "w.pt", start)
    run = tmp_path / "run"
    train(changed(short, steps=2, checks=1, freeze=3, weights=str(tmp_path / "w.pt")), run)
    end = checkpoint.load(run / "last.pt")["model"]
    for name, value in start.items():
        layer = int(name.split(".")[1])
        if layer < 3:
            assert torch.equal(value, end[name]), name
    assert not torch.equal(start["model.3.conv.weight"], end["model.3.conv.weight"])


def test_a_checkpoint_of_another_shape_is_not_resumed(short, tmp_path):
    checkpoint.save(tmp_path / "last.pt", {"model": YoloV5Seg(3).state_dict(), "step": 1})
    with pytest.raises(DataError, match=r"last\.pt: not a checkpoint that this run can go on"):
        train(short, tmp_path, resume=True)


def test_missing_data_and_devices_are_named(short, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        train(changed(short, data=("nowhere",)), tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA"):
            train(changed(short, device="cuda"), tmp_path)


@pytest.mark.parametrize(
    ("flags", "fast"), [("fpu avx2 avx512f", False), ("fpu avx512_bf16", True), ("", False)]
)
def test_bfloat16_is_taken_where_the_processor_has_it(tmp_path, monkeypatch, flags, fast):
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(processor, "CPU_INFO", info)
    cpu = torch.device("cpu")
    assert uses_bf16("auto", cpu) == fast
    assert uses_bf16("bf16", cpu)
    assert not uses_bf16("fp32", cpu)


def test_validation_takes_no_training_time(short, tmp_path, monkeypatch):
    late = 0.0
    monotonic = schedule.time.monotonic
    monkeypatch.setattr(schedule.time, "monotonic", lambda: monotonic() + late)

    def validate(*_) -> dict[str, float]:
        nonlocal late
        late += 3600
        return {"object_ap": 0.5, "object_ap50": 0.5, "tote_ap": 0.5, "tote_ap50": 0.5}

    monkeypatch.setattr(loop, "validate", validate)
    train(short, tmp_path)
    assert late == 2 * 3600
    assert checkpoint.load(tmp_path / "last.pt")["elapsed_s"] < 3600
    for row in read_history(tmp_path / "log.csv"):
        assert row["minutes"] < 60
        assert row["seconds_per_step"] < 600


@pytest.mark.parametrize("change", [{"sizes": (SizeStage(96, 128),)}, {"val_limit": 1}])
def test_a_figure_of_another_size_or_other_pictures_is_not_compared(
    short, tmp_path, monkeypatch, change
):
    figures = iter([0.9, 0.4])

    def validate(*_) -> dict[str, float]:
        return dict.fromkeys(("object_ap", "object_ap50", "tote_ap", "tote_ap50"), next(figures))

    monkeypatch.setattr(loop, "validate", validate)
    train(changed(short, steps=1, checks=1), tmp_path)
    train(changed(short, steps=2, checks=1, **change), tmp_path, resume=True)
    assert checkpoint.load(tmp_path / "best.pt")["metrics"]["object_ap"] == 0.4


def test_a_gradient_that_overflows_leaves_the_weights_alone(short, tmp_path, monkeypatch):
    def overflowing(*arguments):
        total, terms = segmentation_loss(*arguments)
        return total * 1e38 * 1e38, terms

    torch.manual_seed(short.seed)
    start = YoloV5Seg(2)
    monkeypatch.setattr(loop, "segmentation_loss", overflowing)
    train(short, tmp_path)
    end = checkpoint.load(tmp_path / "last.pt")["model"]
    for name, value in start.named_parameters():
        assert torch.equal(value, end[name]), name
    assert not any("box" in row for row in read_history(tmp_path / "log.csv"))


def test_a_diverged_run_ends_with_a_sentence():
    meter = Meter(lambda: 0.0)
    for _ in range(19):
        meter.add({"box": float("nan")})
    with pytest.raises(DataError, match="loss has not been finite for 20 steps"):
        meter.add({"box": float("nan")})


def test_the_best_checkpoint_is_that_of_all_classes():
    early = {"object_ap": 0.37, "tote_ap": 0.49}
    late = {"object_ap": 0.36, "tote_ap": 0.91}
    assert mean_mask_ap(late) > mean_mask_ap(early)
    assert mean_mask_ap({"object_ap": 0.4, "tote_ap": math.nan}) == 0.4
    assert mean_mask_ap({"object_ap": math.nan, "tote_ap": math.nan}) == 0.0
