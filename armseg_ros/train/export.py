# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to ONNX, with the inputs, outputs and metadata of official YOLOv5-seg exports."""

from __future__ import annotations

import copy
import logging
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from armseg_ros.data.plain_yaml import load_plain_yaml
from armseg_ros.errors import ConfigError, DataError, one_line
from armseg_ros.train import checkpoint
from armseg_ros.train.layers import fuse_batch_norm
from armseg_ros.train.model import MASK_COEFFICIENTS, YoloV5Seg
from armseg_ros.train.settings import validation_data
from armseg_ros.types import CLASS_NAMES, Float32Array

log = logging.getLogger(__name__)

OPSET = 17
OUTPUTS = ("output0", "output1", "features")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A checkpoint to export.

    Attributes:
        path: The checkpoint file.
        network: The model in evaluation mode, batch norm folded.
        info: What the checkpoint says of its training: data, seed, metrics; empty for a plain
            state dict.
    """

    path: Path
    network: YoloV5Seg
    info: dict[str, str]


def read_source(source: Path) -> Source:
    """Read the best checkpoint of a run, or a checkpoint file.

    Raises:
        DataError: It cannot be read or is another network.
    """
    path = source / "best.pt" if source.is_dir() else source
    state = checkpoint.read_weights(path)
    name = f"{checkpoint.HEAD_PREFIX}0.bias"
    if name not in state:
        raise DataError(f"{path}: has no tensor {name}; expected a yolov5s-seg checkpoint")
    classes = len(state[name]) // 3 - 5 - MASK_COEFFICIENTS
    if classes != len(CLASS_NAMES):
        raise DataError(
            f"{path}: predicts {classes} classes, expected {len(CLASS_NAMES)} "
            f"({', '.join(CLASS_NAMES)}); train it on them first"
        )
    network = YoloV5Seg(classes)
    checkpoint.load_weights(network, state, str(path))
    fuse_batch_norm(network.eval())
    return Source(path, network.requires_grad_(False), _training_info(path))


def export_onnx(source: Source, target: Path, hw: tuple[int, int], half: bool = False) -> None:
    """Write a model file of fixed input size.

    Input ``images`` (1, 3, H, W) float32 RGB 0..1. Outputs, all float32: ``output0`` (1, A, 5+C+32)
    decoded rows, ``output1`` (1, 32, H/4, W/4) prototypes, ``features`` (1, D) pooled neck
    features.

    Args:
        source: The model.
        target: The ONNX file.
        hw: Height and width of the input in pixels, multiples of 32.
        half: Compute in float16 between input and box decoding. Boxes are decoded in float32:
            above 512 px the spacing of float16 is half a pixel.

    Raises:
        ConfigError: ``hw`` is not a size the network can have.
        DataError: The file cannot be written.
    """
    if not target.parent.is_dir():
        raise DataError(f"{target}: the folder does not exist; make it first")
    if any(side % 32 or not 32 <= side <= 4096 for side in hw):
        raise ConfigError(
            f"size is {hw[0]}x{hw[1]}, but both sides must be multiples of 32 from 32 to 4096"
        )
    model = onnx.load_from_string(_trace(_Deployed(source.network, half).eval(), hw))
    onnx.helper.set_model_props(model, metadata(source, hw, half))
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    checkpoint.write_atomic(target, lambda file: file.write(content))


def metadata(source: Source, hw: tuple[int, int], half: bool) -> dict[str, str]:
    """Describe a model file; ``stride`` and ``names`` are those of official exports."""
    return {
        "stride": "32",
        "names": repr(dict(enumerate(CLASS_NAMES))),
        "description": "YOLOv5s-seg trained and exported by armseg_ros",
        "imgsz": repr(list(hw)),
        "precision": "fp16" if half else "fp32",
        "git_revision": git_revision(Path(__file__)),
        **source.info,
    }


def largest_difference(
    source: Source, target: Path, image: Float32Array
) -> dict[str, float] | None:
    """Compare a model file in ONNX Runtime with the float32 model in PyTorch.

    Args:
        source: The model.
        target: The exported file.
        image: (1, 3, H, W) float32.

    Returns:
        The largest absolute difference of each output, or None without ONNX Runtime.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    found = session.run(list(OUTPUTS), {"images": image})
    wanted = _Deployed(source.network, half=False).eval()(torch.from_numpy(image))
    pairs = zip(OUTPUTS, found, wanted, strict=True)
    return {name: float(np.abs(a - b.numpy()).max()) for name, a, b in pairs}


class _Deployed(nn.Module):
    """The network from picture to decoded rows, computing in float16 in between if asked to."""

    def __init__(self, network: YoloV5Seg, half: bool) -> None:
        super().__init__()
        self._dtype = torch.float16 if half else torch.float32
        self.network = copy.deepcopy(network).to(self._dtype)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.predict(images.to(self._dtype))


def _trace(deployed: _Deployed, hw: tuple[int, int]) -> bytes:
    images = torch.zeros(1, 3, *hw)
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder) / "model.onnx"
        # The tracer warns of sizes that become constants (wanted) and of its own age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            deployed,
            (images,),
            path,
            input_names=["images"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def _training_info(path: Path) -> dict[str, str]:
    """Read what a checkpoint says of its run; one that is not of a run says nothing."""
    content = checkpoint.load(path)
    if not isinstance(content.get("settings"), str):
        return {}
    try:
        return _describe(content, load_plain_yaml(content["settings"]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path}: what it says of its training does not read ({one_line(error)}); "
            "export its state dict alone"
        ) from error


def _describe(content: dict[str, Any], settings: dict[str, Any]) -> dict[str, str]:
    metrics = {name: round(value, 4) for name, value in content.get("metrics", {}).items()}
    val = _folder_name(validation_data(settings["val"], settings["data"]))
    return {
        "initial_weights": Path(settings["weights"]).name if settings["weights"] else "random",
        "training_data": ", ".join(map(_folder_name, settings["data"])),
        "training_sizes": ", ".join(settings["sizes"]),
        "training_steps": str(content.get("step", "")),
        "seed": str(settings["seed"]),
        "validation": f"mask AP on up to {settings['val_limit']} pictures of {val}: {metrics}",
    }


def _folder_name(data: str) -> str:
    path = Path(data)
    return (path.parent.name if path.suffix == ".json" else path.name) or data


def git_revision(source: Path) -> str:
    """Return the commit that a source file belongs to, or ``unknown``.

    A file that git does not track, as of a package installed inside another repository, has none.
    """

    def ask(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=source.parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return answer.stdout.strip()

    try:
        ask("ls-files", "--error-unmatch", source.name)
        return ask("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
