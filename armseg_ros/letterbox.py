# SPDX-License-Identifier: Apache-2.0
"""Geometry between the source picture and the network input, forward and inverse, exact.

Coordinates are continuous: (0, 0) is the top left corner of the top left pixel and pixel centres
lie at half numbers, so ``network = source * gain + pad`` holds for corners and centres alike.
The padding rule is the published one of YOLOv5: the odd pixel goes to the bottom and the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from armseg_ros.types import Float32Array, Uint8Array

PAD_VALUE = 114  # grey of YOLOv5's training pictures


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a source picture lies inside the network input.

    Attributes:
        source_hw: Height and width of the source in pixels.
        network_hw: Height and width of the network input in pixels.
        content_xyxy: Left, top, right, bottom of the resized picture in the input, whole pixels.
    """

    source_hw: tuple[int, int]
    network_hw: tuple[int, int]
    content_xyxy: tuple[int, int, int, int]

    @classmethod
    def fit(
        cls,
        source_hw: tuple[int, int],
        network_hw: tuple[int, int],
        mode: Literal["letterbox", "stretch"] = "letterbox",
        *,
        scale_up: bool = True,
    ) -> Letterbox:
        """Place a picture in a network input.

        Args:
            source_hw: Height and width of the picture, each at least 1.
            network_hw: Height and width of the input.
            mode: ``letterbox`` keeps the aspect ratio and centres; ``stretch`` fills the input.
            scale_up: Enlarge pictures that are smaller than the input.

        Raises:
            ValueError: A side is below 1.
        """
        if min(*source_hw, *network_hw) < 1:
            raise ValueError(f"cannot fit a {source_hw} picture into a {network_hw} input")
        height, width = network_hw
        if mode == "stretch":
            return cls(source_hw, network_hw, (0, 0, width, height))
        content_h, content_w = _content_hw(source_hw, network_hw, scale_up)
        left = round((width - content_w) / 2 - 0.1)
        top = round((height - content_h) / 2 - 0.1)
        return cls(source_hw, network_hw, (left, top, left + content_w, top + content_h))

    @property
    def gain_xy(self) -> tuple[float, float]:
        """Network pixels per source pixel along x and y; they differ by the rounding alone."""
        left, top, right, bottom = self.content_xyxy
        return (right - left) / self.source_hw[1], (bottom - top) / self.source_hw[0]

    def boxes_to_network(self, boxes: Float32Array) -> Float32Array:
        """Map (N, 4) float32 x1, y1, x2, y2 from source to network pixels."""
        gain, pad = self._gain_and_pad()
        return (boxes * gain + pad).astype(np.float32)

    def boxes_to_source(self, boxes: Float32Array) -> Float32Array:
        """Map (N, 4) float32 x1, y1, x2, y2 from network to source pixels, cut to the picture."""
        gain, pad = self._gain_and_pad()
        height, width = self.source_hw
        return ((boxes - pad) / gain).clip(0, [width, height, width, height]).astype(np.float32)

    def apply(self, image: Uint8Array) -> Uint8Array:
        """Resize and pad a picture.

        Args:
            image: (H, W, 3) uint8 of ``source_hw``.

        Returns:
            (h, w, 3) uint8 of ``network_hw``, channels as they came.
        """
        out = np.full((*self.network_hw, 3), PAD_VALUE, np.uint8)
        left, top, right, bottom = self.content_xyxy
        out[top:bottom, left:right] = self._resize(image)
        return out

    def write_tensor(self, image: Uint8Array, tensor: Float32Array) -> None:
        """Write a BGR picture as RGB planes in 0..1; the padding must be there already.

        Args:
            image: (H, W, 3) uint8 BGR of ``source_hw``.
            tensor: (1, 3, h, w) float32 of ``network_hw``, filled with ``empty_tensor`` once.
        """
        left, top, right, bottom = self.content_xyxy
        for plane, channel in zip(tensor[0, ::-1], cv2.split(self._resize(image)), strict=True):
            np.divide(channel, np.float32(255), out=plane[top:bottom, left:right])

    def empty_tensor(self) -> Float32Array:
        """Make a (1, 3, h, w) float32 tensor of padding, to be written again and again."""
        return np.full((1, 3, *self.network_hw), PAD_VALUE / 255, np.float32)

    def _resize(self, image: Uint8Array) -> Uint8Array:
        left, top, right, bottom = self.content_xyxy
        size = (right - left, bottom - top)
        if image.shape[1::-1] == size:
            return image
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).view(np.uint8)

    def _gain_and_pad(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_]]:
        left, top, _, _ = self.content_xyxy
        return np.array([*self.gain_xy] * 2), np.array([left, top] * 2)


def minimum_network_hw(
    source_hw: tuple[int, int],
    network_hw: tuple[int, int],
    stride: int = 32,
    *,
    scale_up: bool = True,
) -> tuple[int, int]:
    """Cut whole strides of padding off a network input.

    Networks with dynamic axes run quicker on the smaller input than on the full one.
    """
    content = _content_hw(source_hw, network_hw, scale_up)
    height, width = (
        side - (side - used) // stride * stride
        for side, used in zip(network_hw, content, strict=True)
    )
    return height, width


def _content_hw(
    source_hw: tuple[int, int], network_hw: tuple[int, int], scale_up: bool
) -> tuple[int, int]:
    ratio = min(network_hw[0] / source_hw[0], network_hw[1] / source_hw[1])
    if not scale_up:
        ratio = min(ratio, 1.0)
    return max(1, round(source_hw[0] * ratio)), max(1, round(source_hw[1] * ratio))
