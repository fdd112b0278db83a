# SPDX-License-Identifier: Apache-2.0
"""Train YOLOv5s-seg on COCO folders; writes checkpoints, a log and curves to the run folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armseg_ros.errors import ConfigError

HELP = "train a model on COCO folders"
_LENGTHS = ("minutes", "steps", "epochs")
_DEFAULT_EPOCHS = 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those that are not given keep the run's or the default value."""
    unset = argparse.SUPPRESS
    parser.add_argument(
        "data", nargs="*", help="COCO folders with train.json and images/, or their train.json"
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, metavar="RUN", help="folder of a new run")
    where.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with a run; options given here override"
    )
    parser.add_argument(
        "--val", default=unset, help="folder with val.json, or that file (beside the first of DATA)"
    )
    parser.add_argument("--weights", default=unset, help="state dict (.pt) to start from")
    parser.add_argument(
        "--size",
        nargs="+",
        default=unset,
        metavar="HxW[@SHARE]",
        help="network sizes in order, with their shares of the run, such as "
        "320x384@0.65 448x512@0.35 (640x640)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=unset, help="length in training minutes")
    length.add_argument("--steps", type=int, default=unset, help="length in steps")
    length.add_argument("--epochs", type=float, default=unset, help="length in epochs (100)")
    for option, kind, text in (
        ("--batch-size", int, "pictures per step (8)"),
        ("--learning-rate", float, "peak learning rate (0.001)"),
        ("--checks", int, "validations and checkpoints over the run (20)"),
        ("--val-limit", int, "most validation pictures (500)"),
        ("--freeze", int, "first layers that stay as they are, 0 to 24 (0)"),
        ("--device", str, "cpu, cuda or cuda:N (cpu)"),
        ("--precision", str, "auto, bf16 or fp32; auto takes bf16 where it is in hardware (auto)"),
        ("--threads", int, "CPU threads, 0 = PyTorch's choice (0)"),
        ("--workers", int, "threads that prepare batches (2)"),
        ("--seed", int, "seed of weights, order and augmentation (0)"),
    ):
        parser.add_argument(option, type=kind, default=unset, help=text)
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting of config.yaml, such as augment.mosaic=0.2 loss.mask=6",
    )


def run(args: argparse.Namespace) -> int:
    """Train and return 0."""
    import logging

    try:
        from armseg_ros.train import loop, settings
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"training needs {error.name}, which is not installed: pip install 'armseg_ros[train]'"
        ) from error
    mapping: dict[str, Any] = {}
    if args.resume:
        if not args.resume.is_dir():
            raise ConfigError(f"{args.resume}: no such run; name its folder, or begin one with -o")
        mapping = settings.read_settings(args.resume / "config.yaml")
    _override(mapping, args)
    folder: Path = args.resume or args.output
    if not args.resume and (folder / "last.pt").exists():
        raise ConfigError(f"{folder} holds a run already; go on with --resume {folder}")
    if args.resume and not (folder / "last.pt").exists():
        raise ConfigError(
            f"{folder} was stopped before its first checkpoint; begin anew with -o {folder}"
        )
    where = str(folder / "config.yaml") if args.resume else "settings"
    chosen = settings.from_mapping(mapping, where)
    metrics = loop.train(chosen, folder, resume=bool(args.resume), stop=_stop_on_signals())
    logging.getLogger(__name__).info(
        "Object mask AP %.3f, AP50 %.3f on %s in the last check; the best weights are in %s",
        *(metrics["object_ap"], metrics["object_ap50"], chosen.validation_data, folder / "best.pt"),
    )
    return 0


def _stop_on_signals() -> Callable[[], bool]:
    """Let Ctrl-C or a kill end the run after its step, with a checkpoint; twice ends it at once."""
    import signal
    import threading

    asked = threading.Event()

    def request(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request)
    return asked.is_set


def _override(mapping: dict[str, Any], args: argparse.Namespace) -> None:
    """Put the given options over the settings of the run."""
    given = vars(args)
    if args.data:
        mapping["data"] = args.data
    if "size" in given:
        mapping["sizes"] = args.size
    lengths = [name for name in _LENGTHS if name in given]
    if lengths:
        mapping |= dict.fromkeys(_LENGTHS, 0)
    elif not any(mapping.get(name) for name in _LENGTHS):
        mapping["epochs"] = _DEFAULT_EPOCHS
    names = ["val", "weights", "batch_size", "learning_rate", "checks", "val_limit", "freeze"]
    names += ["device", "precision", "threads", "workers", "seed", *lengths]
    mapping |= {name: given[name] for name in names if name in given}
    for text in args.set:
        _set(mapping, text)


def _set(settings: dict[str, Any], text: str) -> None:
    """Put one ``group.key=value`` into the settings."""
    from armseg_ros.data.plain_yaml import load_plain_yaml

    path, equals, value = text.partition("=")
    *groups, key = path.split(".")
    mapping: object = settings
    for group in groups:
        mapping = mapping.setdefault(group, {}) if isinstance(mapping, dict) else None
    if not equals or not isinstance(mapping, dict):
        raise ConfigError(f"--set {text!r} is not of the form KEY=VALUE; see config.yaml for keys")
    try:
        mapping[key] = load_plain_yaml(value)
    except ValueError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is no number, word or list") from error
