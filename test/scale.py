# SPDX-License-Identifier: Apache-2.0
"""Score a run as large as ARMBench: ``PYTHONPATH=. python test/scale.py 44000``.

Ten objects and a tote a picture of 2448x2048, each found once with its outline off by some pixels.
Prints CPU time, wall time and peak memory of scoring and writing masks and boxes.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.evaluate.documents import CocoDocuments
from armseg_ros.types import Detections, Instances, Mask

HW = (2048, 2448)
OBJECTS = 10


def picture(rng: np.random.Generator) -> tuple[Instances, Detections]:
    """Draw ellipses; the predictions are the same, moved by up to 40 px."""
    sides = rng.integers(200, 500, (OBJECTS, 2))
    places = rng.integers(0, 1500, (OBJECTS, 2))
    masks = [ellipse(*side) for side in sides]
    moved = places + rng.integers(0, 40, places.shape)
    scores = np.sort(rng.random(OBJECTS + 1).astype(np.float32))[::-1]
    truth = instances(masks, places)
    found = instances(masks, moved)
    return truth, Detections(found.boxes, found.class_ids, found.masks, found.crowd, scores)


def ellipse(height: int, width: int) -> Any:
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return x**2 + y**2 <= 1


def instances(crops: list[Any], places: Any) -> Instances:
    tote = Mask(np.ones((1900, 2200), np.bool_), 100, 70)
    masks = (tote, *(Mask(c, int(x), int(y)) for c, (y, x) in zip(crops, places, strict=True)))
    boxes = [(m.x, m.y, m.x + m.crop.shape[1], m.y + m.crop.shape[0]) for m in masks]
    count = len(masks)
    return Instances(
        np.array(boxes, np.float32),
        np.array([1] + [0] * (count - 1), np.int32),
        masks,
        np.zeros(count, np.bool_),
    )


def main(count: int) -> None:
    rng = np.random.default_rng(1)
    some = []
    for _ in range(50):
        truth, found = picture(rng)
        some.append((truth_records(truth, 0, HW), result_records(found, 0, HW)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        documents = CocoDocuments(Path(folder), has_truth=True)
        for number in tqdm(range(1, count + 1), disable=None):
            truth, found = some[number % len(some)]
            image = {"id": number, "file_name": f"{number}.jpg", "height": HW[0], "width": HW[1]}
            documents.add(
                image,
                [{**record, "image_id": number} for record in truth],
                [{**record, "image_id": number} for record in found],
            )
        documents.close()
        figures = documents.scorer.figures()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        f"{count} pictures, {count * (OBJECTS + 1)} instances: {cpu:.0f} s CPU, {wall:.0f} s wall, "
        f"peak {peak / 1024:.0f} MB ({(peak - before) / 1024:.0f} MB above the start), "
        f"{size / 1e6:.0f} MB written; Object mask AP {figures['mask']['Object'].ap:.3f}\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 44000)
