# SPDX-License-Identifier: Apache-2.0
"""Everything that defines a training run, as it is written to ``config.yaml``."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from armseg_ros.config import require_range
from armseg_ros.data.plain_yaml import load_plain_yaml
from armseg_ros.errors import ConfigError, one_line, shown
from armseg_ros.train.augment import AugmentSettings
from armseg_ros.train.loss import LossSettings


@dataclass(frozen=True, slots=True)
class SizeStage:
    """A network size and the share of the run that it gets.

    Attributes:
        height: Network pixels, a multiple of 32.
        width: Network pixels, a multiple of 32.
        share: Weight relative to the other stages, above 0.
    """

    height: int
    width: int
    share: float = 1.0

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            if side % 32 or not 64 <= side <= 4096:
                raise ConfigError(
                    f"size is {self.height}x{self.width}, but both sides must be multiples of 32 "
                    "from 64 to 4096"
                )
        require_range("size share", self.share, 1e-6, 1e6)

    @classmethod
    def parse(cls, text: str) -> SizeStage:
        """Read ``HEIGHTxWIDTH`` or ``HEIGHTxWIDTH@SHARE``."""
        size, _, share = text.partition("@")
        try:
            height, width = (int(side) for side in size.lower().split("x"))
            return cls(height, width, float(share or 1))
        except ValueError as error:
            raise ConfigError(
                f"size {text!r} is not of the form HEIGHTxWIDTH or HEIGHTxWIDTH@SHARE, "
                "such as 448x512@0.3"
            ) from error


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a run.

    Attributes:
        data: COCO folders with ``train.json``, or such files.
        val: COCO folder with ``val.json``, or such a file; empty takes ``val.json`` beside the
            first of ``data``.
        weights: State dict to start from; empty starts from scratch.
        sizes: Network sizes in the order of training; validation uses the last one.
        minutes: Length as training time (validation excluded), or 0.
        steps: Length in steps, or 0.
        epochs: Length in epochs, or 0. Exactly one of the three lengths is above 0.
        batch_size: Pictures per step.
        learning_rate: Peak of the schedule.
        weight_decay: Decay of the convolution weights per step, relative to the rate.
        warmup: Share of the run over which the rate rises, 0..0.5.
        final_rate: Rate at the end, relative to the peak.
        ema_decay: Largest decay of the weight average; it ramps up, so short runs use less.
        clip_norm: Largest gradient norm.
        freeze: Number of first layers that stay as they are (0..24).
        checks: Validations and checkpoints over the run.
        val_limit: Most validation pictures.
        cache_gib: Memory for pictures.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``bf16`` (autocast), ``fp32``, or ``auto``: bf16 where it is fast.
        threads: CPU threads of the network; 0 leaves the choice to PyTorch.
        workers: Threads that prepare batches.
        seed: Seed of weights, order and augmentation.
        augment: Augmentation.
        loss: Loss weights.
    """

    data: tuple[str, ...] = ()
    val: str = ""
    weights: str = ""
    sizes: tuple[SizeStage, ...] = (SizeStage(640, 640),)
    minutes: float = 0.0
    steps: int = 0
    epochs: float = 0.0
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.03
    final_rate: float = 0.01
    ema_decay: float = 0.9985
    clip_norm: float = 10.0
    freeze: int = 0
    checks: int = 20
    val_limit: int = 500
    cache_gib: float = 8.0
    device: str = "cpu"
    precision: str = "auto"
    threads: int = 0
    workers: int = 2
    seed: int = 0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossSettings = field(default_factory=LossSettings)

    def __post_init__(self) -> None:
        for key in ("minutes", "steps", "epochs"):
            require_range(key, getattr(self, key), 0, 1e9)
        if [self.minutes > 0, self.steps > 0, self.epochs > 0].count(True) != 1:
            raise ConfigError(
                f"minutes is {self.minutes:g}, steps is {self.steps} and epochs is "
                f"{self.epochs:g}, but exactly one of them must be above 0"
            )
        if not self.data:
            raise ConfigError("no training data: name at least one COCO folder with train.json")
        if not self.sizes:
            raise ConfigError("no network size: give at least one, such as 640x640")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ConfigError(
                f"precision is {self.precision!r}, but must be 'auto', 'bf16' or 'fp32'"
            )
        if self.device != "cpu" and not self.device.startswith("cuda"):
            raise ConfigError(f"device is {self.device!r}, but must be 'cpu', 'cuda' or 'cuda:N'")
        require_range("batch_size", self.batch_size, 1, 4096)
        require_range("learning_rate", self.learning_rate, 1e-8, 1.0)
        require_range("weight_decay", self.weight_decay, 0.0, 10.0)
        require_range("warmup", self.warmup, 0.0, 0.5)
        require_range("final_rate", self.final_rate, 0.0, 1.0)
        require_range("ema_decay", self.ema_decay, 0.0, 0.99999)
        require_range("clip_norm", self.clip_norm, 1e-6, 1e6)
        require_range("freeze", self.freeze, 0, 24)
        require_range("checks", self.checks, 1, 10000)
        require_range("val_limit", self.val_limit, 1, 10**7)
        require_range("cache_gib", self.cache_gib, 0.0, 10000.0)
        require_range("threads", self.threads, 0, 1024)
        require_range("workers", self.workers, 1, 256)
        require_range("seed", self.seed, 0, 2**31)

    @property
    def validation_data(self) -> str:
        """What validation reads, a folder or a file; see the function of this name."""
        return validation_data(self.val, self.data)


def validation_data(val: str, data: Sequence[str]) -> str:
    """Name what validation reads: ``val``, or ``val.json`` beside the first of ``data``."""
    first = Path(data[0])
    return val or str(first.with_name("val.json") if first.suffix == ".json" else first)


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "str": ((str,), "a text"),
    "tuple[str, ...]": ((list, tuple), "a list"),
    "tuple[SizeStage, ...]": ((list, tuple), "a list such as [320x384, 448x544]"),
}
_GROUP = ((dict,), "a group of settings, given as GROUP.KEY=VALUE")


def to_mapping(settings: TrainSettings) -> dict[str, Any]:
    """Turn settings into plain lists, numbers and strings."""
    mapping = dataclasses.asdict(settings)
    mapping["data"] = list(settings.data)
    mapping["sizes"] = [f"{s.height}x{s.width}@{s.share:g}" for s in settings.sizes]
    return mapping


def from_mapping(mapping: dict[str, Any], where: str = "settings") -> TrainSettings:
    """Check plain values and build settings; missing keys take their defaults.

    Raises:
        ConfigError: A key is unknown, of another type or out of range.
    """
    values = _checked(TrainSettings, mapping, where)
    values["data"] = tuple(str(folder) for folder in values.get("data", ()))
    if "sizes" in values:
        values["sizes"] = tuple(SizeStage.parse(str(text)) for text in values["sizes"])
    for group, settings in (("augment", AugmentSettings), ("loss", LossSettings)):
        values[group] = settings(**_checked(settings, values.get(group, {}), where, f"{group}."))
    return TrainSettings(**values)


def _checked(
    settings: type[TrainSettings | AugmentSettings | LossSettings],
    mapping: dict[str, Any],
    where: str,
    group: str = "",
) -> dict[str, Any]:
    """Copy a mapping whose keys the settings know, with values of their types.

    YAML reads 1e-3, which has no point, as a text: it becomes the number that it means.
    """
    known = {key.name: str(key.type) for key in dataclasses.fields(settings)}
    values = dict(mapping)
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"{where}: no setting is called {group + str(key)!r}; expected one of "
                + ", ".join(group + name for name in known)
            )
        accepted, words = _KINDS.get(known[key], _GROUP)
        if known[key] == "float" and isinstance(value, str):
            with contextlib.suppress(ValueError):
                values[key] = value = float(value)
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise ConfigError(f"{where}: {group}{key} is {shown(value)}, but must be {words}")
    return values


def read_settings(path: Path) -> dict[str, Any]:
    """Read ``config.yaml`` of a run.

    Raises:
        ConfigError: The file is missing or is not a YAML mapping.
    """
    try:
        mapping = load_plain_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read as a run's settings: {one_line(error)}"
        ) from error
    if not isinstance(mapping, dict):
        raise ConfigError(f"{path}: expected a mapping of settings")
    return mapping


def format_settings(settings: TrainSettings) -> str:
    """Write settings as YAML text."""
    return yaml.safe_dump(to_mapping(settings), sort_keys=False)
