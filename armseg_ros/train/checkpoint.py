# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import errno
import logging
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from armseg_ros.errors import DataError, one_line
from armseg_ros.train.model import MASK_COEFFICIENTS, YoloV5Seg

log = logging.getLogger(__name__)

State = dict[str, Tensor]
HEAD_PREFIX = "model.24.m."
"""Names of the prediction layers, the only ones whose shape depends on the classes."""


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a full disk or a kill leaves the former version intact.

    Args:
        path: Where the file goes; its folder exists.
        write: Called with the open temporary file beside it.

    Raises:
        DataError: Writing failed; the former file is as it was.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the path of a file")
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        kept = "the former file is intact" if path.exists() else "nothing was written"
        # torch.save makes of a full disk a RuntimeError about positions in its archive.
        cause = error if isinstance(error, OSError) else error.__context__
        code = cause.errno if isinstance(cause, OSError) else None
        full = code in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "choose another place"
        why = os.strerror(code) if code else one_line(error)
        raise DataError(f"{path}: cannot be written ({why}); {kept}; {advice}") from error


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them atomically."""
    write_atomic(path, lambda file: torch.save(dict(content), file))


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint or a state dict.

    Raises:
        DataError: The file is missing, damaged, or holds pickled objects.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a checkpoint (.pt) there") from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: not a plain state dict but a pickled model or a damaged file, which is not "
            "opened because it can run code; where it came from, save the tensors alone: "
            "torch.save(checkpoint['model'].float().state_dict(), 'weights.pt')"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error) or "it is empty"
        raise DataError(f"{path}: cannot be read as a checkpoint: {why}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a state dict, found a {type(content).__name__}")
    return content


def read_weights(path: Path) -> State:
    """Read the float32 state dict from a run's checkpoint or from a plain state dict.

    Raises:
        DataError: As ``load``; or the file holds no state dict.
    """
    content = load(path)
    average = content.get("average")
    candidates = [average.get("model") if isinstance(average, dict) else None]
    candidates += [content.get(key) for key in ("weights", "state_dict", "model")] + [content]
    for state in candidates:
        if isinstance(state, dict) and state and all(map(torch.is_tensor, state.values())):
            return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    raise DataError(f"{path}: holds no state dict; its keys are {list(content)[:5]}")


def load_weights(model: YoloV5Seg, state: State, where: str) -> None:
    """Load a state dict; prediction layers for other classes are initialised anew and logged.

    Raises:
        DataError: The names or shapes are those of another network.
    """
    own = model.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    odd = sorted((own.keys() ^ state.keys()) - counters)
    if odd:
        side = "lacks" if odd[0] in own else "has an unknown"
        raise DataError(
            f"{where}: {side} tensor {odd[0]} ({len(odd)} names differ); expected yolov5s-seg"
        )
    shapes = {k: (tuple(v.shape), tuple(own[k].shape)) for k, v in state.items() if k in own}
    differing = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    foreign = [name for name in differing if not name.startswith(HEAD_PREFIX)]
    if foreign:
        found, wanted = differing[foreign[0]]
        raise DataError(
            f"{where}: {foreign[0]} is {found}, expected {wanted} of yolov5s-seg; this is a "
            "checkpoint of another network"
        )
    kept = {name: value for name, value in state.items() if name not in differing}
    model.load_state_dict(kept, strict=False)
    if differing:
        classes = next(iter(differing.values()))[0][0] // 3 - 5 - MASK_COEFFICIENTS
        log.info(
            "%s: made for %d classes, this model has %d: prediction layers start anew",
            *(where, classes, model.head.num_classes),
        )
