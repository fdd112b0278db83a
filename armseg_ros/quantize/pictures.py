# SPDX-License-Identifier: Apache-2.0
"""Pictures as network inputs, for calibration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from armseg_ros.data.source import Source
from armseg_ros.errors import DataError
from armseg_ros.letterbox import Letterbox
from armseg_ros.types import Float32Array, Frame


def chosen_frames(source: Source, count: int) -> Iterator[Frame]:
    """Decode up to ``count`` pictures, evenly spread over the source.

    Raises:
        DataError: The source is empty, or a picture cannot be read.
    """
    if not len(source):
        raise DataError(f"{source.path}: holds no picture to calibrate with")
    wanted = set(np.linspace(0, len(source) - 1, min(count, len(source))).round().astype(int))
    items = (item for index, item in enumerate(source) if index in wanted)
    for item in tqdm(items, total=len(wanted), unit="picture", disable=None):
        yield item.frame()


def network_input(frame: Frame, network_hw: tuple[int, int]) -> Float32Array:
    """Letterbox a frame into a new (1, 3, h, w) float32 tensor, as the segmenter does."""
    letterbox = Letterbox.fit(frame.hw, network_hw)
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(frame.image, tensor)
    return tensor
