# SPDX-License-Identifier: Apache-2.0
"""Ten thousand images that no camera should send: each is answered, or dropped with a sentence.

They take the way of the image callback: slot, worker thread, conversion, network, answer. The seed
is fixed by ``derandomize``, so that a failure comes again.
"""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed")
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from armseg_ros.backends.model_info import ModelInfo
from armseg_ros.ros import messages
from armseg_ros.ros.diagnostics import BROKEN, Statistics
from armseg_ros.ros.worker import Answer, Arrival, Worker
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import RawOutput

RAW_IMAGES, ENCODED_IMAGES = 8000, 2000
PICTURE = np.random.default_rng(5).integers(0, 255, (12, 20, 3), np.uint8)
FILES = [bytes(cv2.imencode(suffix, PICTURE)[1]) for suffix in (".jpg", ".png", ".bmp", ".tif")]
BYTES_PER_PIXEL = {
    "bgr8": 3, "rgb8": 3, "8UC3": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, "8UC1": 1, "mono16": 2,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "uyvy": 2, "yuyv": 2, "yuv422_yuy2": 2,
    "32FC1": 4, "BGR8": 3, "": 1, "bgr8\0": 3, "jpeg": 1, "16UC4": 8, "x" * 3000: 1,
}  # fmt: skip
SIDES = [0, 1, 2, 3, 8, 13, 100, 65535, 2**31, 2**32 - 1]


class OneObject:
    """A 64x64 network that finds the same object in every picture."""

    name = "fixed"

    def __init__(self) -> None:
        self.model = ModelInfo(None, "0" * 64, (64, 64), ("Object", "Tote"))
        row = [32, 32, 40, 40, 0.9, 1, 0, 1, 1]
        self._raw = RawOutput(np.array([row], np.float32), np.ones((2, 16, 16), np.float32))

    def infer(self, _tensor: Any) -> RawOutput:
        return self._raw


class Line:
    """The way of an image from the callback to the answer, one image at a time."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.done = threading.Semaphore(0)
        self.answers: list[Answer] = []
        self.said: list[str] = []
        backend: Any = OneObject()
        self.worker = Worker(
            Segmenter(backend), self.statistics, "/camera", deliver=self._deliver,
            complain=self._complain,
        )  # fmt: skip

    def _deliver(self, answer: Answer) -> None:
        header, detections = answer.arrival.message.header, answer.segmentation.detections
        out = messages.instance_array(detections, header, answer.frame.hw)
        assert out.header == answer.arrival.message.header
        self.answers.append(answer)
        self.done.release()

    def _complain(self, error: str) -> None:
        self.said.append(error)
        self.done.release()

    def send(self, message: Any) -> None:
        """Send an image, wait for what becomes of it and hold it against the promise."""
        answered, refused = len(self.answers), len(self.said)
        self.worker.put(Arrival(message, time.perf_counter(), float("nan")))
        assert self.done.acquire(timeout=60), "neither answered nor dropped"
        assert (len(self.answers) - answered) + (len(self.said) - refused) == 1
        if len(self.said) > refused:
            sentence = self.said.pop()
            assert sentence.startswith("/camera"), sentence
            assert len(sentence.splitlines()) == 1
            assert len(sentence) < 600
            assert sentence.isprintable()
        self.answers.clear()


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.worker.close()
    now = made.statistics.snapshot()
    dropped = {reason: count for reason, count in now.dropped.items() if count}
    assert set(dropped) == {BROKEN}  # none failed: each was refused before it reached the network
    assert now.received == now.answered + dropped[BROKEN]
    assert min(now.answered, dropped[BROKEN]) > 500


@st.composite
def headers(draw: st.DrawFn) -> Header:
    seconds = draw(st.sampled_from([0, -1, -(2**31), 2**31 - 1, 1_700_000_000]))
    nanoseconds = draw(st.sampled_from([0, 5, 999_999_999, 10**9, 2**32 - 1]))
    frame_id = draw(st.sampled_from(["camera", "", "a\nb\x1b[2J", "<b>", "../x", "y" * 3000]))
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


@st.composite
def raw_images(draw: st.DrawFn) -> Image:
    """An image that is honest, or lies about one thing."""
    encoding = draw(st.sampled_from(list(BYTES_PER_PIXEL)))
    height, width = draw(st.sampled_from(SIDES[:7])), draw(st.sampled_from(SIDES[:8]))
    row = width * BYTES_PER_PIXEL[encoding]
    step = row + draw(st.sampled_from([0, 0, 0, 1, 7, -1, -row, 2**31]))
    size = step * height if 0 <= step * height < 10**7 else 64
    size = max(0, size + draw(st.sampled_from([0, 0, 0, 0, 1, -1, -size, 1000])))
    if draw(st.integers(0, 9)) == 0:
        height, width = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    return Image(
        header=draw(headers()), height=height, width=width, encoding=encoding,
        is_bigendian=draw(st.sampled_from([0, 1, 255])), step=min(max(0, step), 2**32 - 1),
        data=array.array("B", bytes(size)),
    )  # fmt: skip


@st.composite
def encoded_images(draw: st.DrawFn) -> CompressedImage:
    """A picture file with a few bytes changed, cut short, or of noise alone."""
    content = bytearray(draw(st.sampled_from(FILES)))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=3)
    ):
        content[min(place, len(content) - 1)] = value
    content = draw(
        st.just(content) | st.binary(max_size=40) | st.just(content[: len(content) // 2])
    )
    return CompressedImage(
        header=draw(headers()), format=draw(st.sampled_from(["jpeg", "png", "", "x" * 500])),
        data=array.array("B", content),
    )  # fmt: skip


@pytest.mark.timeout(1200)
@given(raw_images())
@settings(max_examples=RAW_IMAGES, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
def test_raw_images(line: Line, message: Image) -> None:
    line.send(message)


@pytest.mark.timeout(1200)
@given(encoded_images())
@settings(max_examples=ENCODED_IMAGES, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
def test_encoded_images(line: Line, message: CompressedImage) -> None:
    line.send(message)


def test_the_widest_image_is_answered(line: Line) -> None:
    message = Image(height=2, width=65535, encoding="bgr8", step=65535 * 3,
                    data=array.array("B", bytes(2 * 65535 * 3)))  # fmt: skip
    answered = line.statistics.snapshot().answered
    line.send(message)
    assert line.statistics.snapshot().answered == answered + 1
