# SPDX-License-Identifier: Apache-2.0
"""CPU time of each stage on a made-up frame, and how crops compare with full-frame masks."""

from __future__ import annotations

import array
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from armseg_ros.backends.base import Backend
from armseg_ros.config import DecodeConfig
from armseg_ros.data.images import bgr_from_raw
from armseg_ros.decode import decode
from armseg_ros.letterbox import Letterbox
from armseg_ros.masks import encode_crop
from armseg_ros.quality.shipped import open_flags
from armseg_ros.types import Detections, Float32Array, RawOutput, Uint8Array

FRAME_HW = (2048, 2448)
NETWORK_HW = (640, 640)
OBJECT_SIZE_PX = 595  # of the source, about what 12 objects in a tote have
CANDIDATES_PER_OBJECT = 25
MASK_COUNT = 32


@dataclass(frozen=True, slots=True)
class StageCost:
    """CPU time of one stage in milliseconds, over the repeats of one run."""

    name: str
    median_ms: float
    minimum_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame and the network answer that belongs to it."""

    image: Uint8Array
    raw: RawOutput
    letterbox: Letterbox


def make_scene(instance_count: int, seed: int = 0) -> Scene:
    """Make a noise picture and an answer with elliptic instances.

    Args:
        instance_count: 0 to 32; each instance has a prototype of its own.
        seed: Of the noise and the places.
    """
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*FRAME_HW, 3), np.uint8)
    letterbox = Letterbox.fit(FRAME_HW, NETWORK_HW)
    size = OBJECT_SIZE_PX * letterbox.gain_xy[0]
    columns = math.ceil(math.sqrt(instance_count * FRAME_HW[1] / FRAME_HW[0]))
    grid = np.stack(np.divmod(np.arange(instance_count), columns)[::-1], axis=1) + 0.5
    left, top, right, bottom = letterbox.content_xyxy
    cells = np.array([columns, math.ceil(instance_count / columns)])
    centres = grid / cells * [right - left, bottom - top] + [left, top]
    size = min(size, 1.2 * (right - left) / columns)  # neighbours overlap, but stay apart
    height, width = NETWORK_HW
    rows = np.zeros((3 * sum(height // s * (width // s) for s in (8, 16, 32)), 39), np.float32)
    prototypes = np.zeros((MASK_COUNT, height // 4, width // 4), np.float32)
    y, x = np.mgrid[: height // 4, : width // 4].astype(np.float32) * 4 + 2
    for index, (cx, cy) in enumerate(centres):
        prototypes[index] = 8 * (1 - np.hypot(x - cx, y - cy) / (size / 2))
        block = rows[index * 40 : index * 40 + CANDIDATES_PER_OBJECT]
        block[:, :4] = rng.normal([cx, cy, size, size], size / 40, (len(block), 4))
        block[:, 4], block[:, 5] = rng.uniform(0.3, 0.95, (2, len(block)))
        block[:, 7 + index] = 1
        block[0, 4:6] = 0.97
    return Scene(image, RawOutput(rows, prototypes), letterbox)


def measure(name: str, work: Callable[[], object], repeats: int) -> StageCost:
    """Run a stage ``repeats`` times after one warm-up and take its CPU time."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1e3)
    return StageCost(name, statistics.median(times), min(times))


def measure_stages(scene: Scene, repeats: int) -> tuple[list[StageCost], Detections]:
    """Measure everything but network and message, on one OpenCV thread.

    Returns:
        Costs of reading the image message, letterbox, decoding with crop masks, and run-lengths;
        and the instances found.
    """
    cv2.setNumThreads(1)
    tensor = scene.letterbox.empty_tensor()
    config = DecodeConfig()
    detections, _ = decode(scene.raw, scene.letterbox, config)
    message = SimpleNamespace(
        encoding="bgr8",
        height=FRAME_HW[0],
        width=FRAME_HW[1],
        step=3 * FRAME_HW[1],
        is_bigendian=0,
        data=array.array("B", scene.image.tobytes()),
    )
    costs = [
        measure("message to pixels", lambda: bgr_from_raw(message, "image"), repeats),
        measure("letterbox", lambda: scene.letterbox.write_tensor(scene.image, tensor), repeats),
        measure("decode and masks", lambda: decode(scene.raw, scene.letterbox, config), repeats),
        measure("run-lengths", lambda: [encode_crop(m) for m in detections.masks], repeats),
    ]
    return costs, detections


def measure_networks(backends: Sequence[Backend], repeats: int) -> list[StageCost]:
    """Measure forward passes on an empty picture, in turn, so that what else runs hits all alike.

    Returns:
        One cost for each backend.
    """
    tensors = [np.zeros((1, 3, *b.model.network_hw), np.float32) for b in backends]
    times: list[list[float]] = [[] for _ in backends]
    for repeat in range(repeats + 1):
        for backend, tensor, taken in zip(backends, tensors, times, strict=True):
            start = time.process_time()
            backend.infer(tensor)
            if repeat:  # the first one warms up
                taken.append((time.process_time() - start) * 1e3)
    return [
        StageCost(f"network ({backend.name})", statistics.median(taken), min(taken))
        for backend, taken in zip(backends, times, strict=True)
    ]


def measure_flags(scene: Scene, repeats: int) -> StageCost:
    """Measure the shipped quality model on one OpenCV thread, from candidates to the verdict."""
    cv2.setNumThreads(1)
    tensor = scene.letterbox.empty_tensor()
    scene.letterbox.write_tensor(scene.image, tensor)
    config = DecodeConfig()
    decoded = decode(scene.raw, scene.letterbox, config)
    flags = open_flags()
    detector = flags.detectors[0]

    def work() -> object:
        return flags.assess(decoded, scene.raw, tensor, detector, decode_config=config)

    return measure("flags for split and merged objects", work, repeats)


def measure_full_frame(scene: Scene, detections: Detections, repeats: int) -> StageCost:
    """Measure masks and run-lengths the usual way: every mask as a whole frame."""
    prototypes = scene.raw.prototypes
    coefficients = np.eye(len(detections), MASK_COUNT, dtype=np.float32)

    def work() -> list[object]:
        logits = (coefficients @ prototypes.reshape(MASK_COUNT, -1)).reshape(
            -1, *prototypes.shape[1:]
        )
        return [
            _full_frame_mask(mask_logits, box, scene.letterbox)
            for mask_logits, box in zip(logits, detections.boxes, strict=True)
        ]

    return measure("masks and run-lengths as full frames", work, repeats)


def _full_frame_mask(logits: Float32Array, box: Float32Array, letterbox: Letterbox) -> object:
    height, width = letterbox.source_hw
    left, top, right, bottom = letterbox.content_xyxy
    network = cv2.resize(logits, letterbox.network_hw[::-1], interpolation=cv2.INTER_LINEAR)
    frame = cv2.resize(network[top:bottom, left:right], (width, height))
    mask = (frame > 0).astype(np.uint8)
    x_min, y_min, x_max, y_max = np.ceil(box).astype(int)
    mask[:y_min], mask[y_max:], mask[:, :x_min], mask[:, x_max:] = 0, 0, 0, 0
    return coco_mask.encode(np.asfortranarray(mask))
