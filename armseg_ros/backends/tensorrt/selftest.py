# SPDX-License-Identifier: Apache-2.0
"""One made-up picture, what ONNX Runtime answers to it, and how far an engine may be from that.

The reference is made when the engine is built and lies in its file; every start compares. It finds
NaN, empty masks and engines that are right for another chip; it does not measure accuracy, which
``armseg engine verify`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armseg_ros.backends.base import EngineSettings
from armseg_ros.backends.onnx import OnnxBackend
from armseg_ros.errors import BackendError
from armseg_ros.types import Float32Array, RawOutput

ROWS = 48  # the strongest, by objectness times class score
PROTOTYPE_SAMPLES = 512
SEED = 20
# Of float16 against float32, from the spacing of float16 (2**-11 relative) over some 60 layers; an
# engine that is broken is off by orders of magnitude.
BOX_TOLERANCE_PX = 2.0
BOX_TOLERANCE_SHARE = 0.02  # of the longer side of the box
SCORE_TOLERANCE = 0.05
PROTOTYPE_TOLERANCE = 0.05  # root mean square of the difference, of that of the reference


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far an engine is from the reference on the picture of the self-test.

    Attributes:
        box_px: Largest difference of a box's centre, width or height in network pixels.
        box_share: The same as a share of the longer side of its box, over boxes that are further
            off than ``BOX_TOLERANCE_PX``; 0 where none is.
        score: Largest difference of objectness or a class score.
        prototypes: Root mean square difference over that of the reference.
    """

    box_px: float
    box_share: float
    score: float
    prototypes: float

    @property
    def within_tolerance(self) -> bool:
        """False also where a difference is not a number."""
        return (
            self.box_share <= BOX_TOLERANCE_SHARE
            and self.score <= SCORE_TOLERANCE
            and self.prototypes <= PROTOTYPE_TOLERANCE
        )

    def __str__(self) -> str:
        return (
            f"boxes {self.box_px:.2f} px, scores {self.score:.3f}, "
            f"prototypes {100 * self.prototypes:.1f} %"
        )


def make_picture(hw: tuple[int, int]) -> Float32Array:
    """Make the picture: a tote-yellow ground with coloured boxes, (1, 3, h, w) float32 0..1."""
    height, width = hw
    rng = np.random.default_rng(SEED)
    picture = np.empty((3, height, width), np.float32)
    picture[:] = np.array([0.75, 0.6, 0.2], np.float32)[:, None, None]
    picture *= np.linspace(0.6, 1.0, width, dtype=np.float32)
    for _ in range(16):
        y, x = rng.integers(0, height * 3 // 4), rng.integers(0, width * 3 // 4)
        h, w = rng.integers(height // 12, height // 4), rng.integers(width // 12, width // 4)
        picture[:, y : y + h, x : x + w] = rng.random((3, 1, 1), np.float32)
    noise: Float32Array = rng.random(picture.shape, np.float32)
    return (0.95 * picture + 0.05 * noise)[None]


def make_reference(model: Path, network_hw: tuple[int, int]) -> dict[str, Any]:
    """Ask ONNX Runtime, and keep the strongest rows and a sample of the prototypes.

    Raises:
        BackendError: The model does not load or is not a supported one.
    """
    backend = OnnxBackend(model, EngineSettings(network_size=max(network_hw)))
    if backend.model.network_hw != network_hw:
        raise BackendError(f"{model}: ONNX Runtime reads another input size than {network_hw}")
    raw = backend.infer(make_picture(network_hw))
    backend.close()
    return reference_of(raw)


def reference_of(raw: RawOutput) -> dict[str, Any]:
    """Keep of an answer what the self-test compares, as plain values."""
    columns = raw.candidates[:, : 5 + raw.class_count]
    strength = columns[:, 4] * columns[:, 5:].max(axis=1)
    rows = np.sort(np.argsort(-strength, kind="stable")[:ROWS])
    return {
        "row_count": len(columns),
        "rows": rows.tolist(),
        "columns": [[round(float(value), 5) for value in row] for row in columns[rows]],
        "prototypes": [round(float(value), 5) for value in _sample(raw.prototypes)],
    }


def compare(reference: Mapping[str, Any], raw: RawOutput) -> Deviation:
    """Compare an answer to the picture with the reference.

    Raises:
        BackendError: The shapes differ, so it is another network.
    """
    wanted = np.array(reference["columns"], np.float32)
    found = raw.candidates[:, : 5 + raw.class_count]
    if len(found) != reference["row_count"] or wanted.shape[1:] != found.shape[1:]:
        raise BackendError(
            f"the engine answers with {found.shape} rows and scores, its model with "
            f"({reference['row_count']}, {wanted.shape[-1]}); build it again with armseg engine "
            "build --force"
        )
    found = found[reference["rows"]]
    off = np.abs(found[:, :4] - wanted[:, :4])
    share = off / np.maximum(wanted[:, 2:4].max(axis=1, keepdims=True), 1)
    share[off <= BOX_TOLERANCE_PX] = 0
    prototypes = np.array(reference["prototypes"], np.float32)
    spread = max(float(np.sqrt(np.mean(prototypes**2))), 1e-6)
    error = float(np.sqrt(np.mean((_sample(raw.prototypes) - prototypes) ** 2)))
    scores = np.abs(found[:, 4:] - wanted[:, 4:])
    return Deviation(float(off.max()), float(share.max()), float(scores.max()), error / spread)


def require_agreement(reference: Mapping[str, Any], raw: RawOutput) -> Deviation:
    """Refuse an engine that does not answer as its model does.

    Raises:
        BackendError: It is outside of the tolerance, or answers with something not a number.
    """
    deviation = compare(reference, raw)
    if not deviation.within_tolerance:
        raise BackendError(
            f"the engine fails its self-test (it is off by {deviation}): build it "
            "again with armseg engine build --force, if need be with --precision fp32, and report "
            "the GPU and the version of TensorRT"
        )
    return deviation


def _sample(prototypes: Float32Array) -> Float32Array:
    flat = prototypes.ravel()
    places = np.linspace(0, len(flat) - 1, min(PROTOTYPE_SAMPLES, len(flat))).astype(np.intp)
    return np.asarray(flat[places], np.float32)
