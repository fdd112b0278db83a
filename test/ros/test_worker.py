# SPDX-License-Identifier: Apache-2.0
"""Every image that arrived is counted once more: as answered, or as dropped with its reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
from std_msgs.msg import Header

from armseg_ros.ros import messages
from armseg_ros.ros.diagnostics import FAILED, OFF, REPLACED, Statistics
from armseg_ros.ros.worker import Answer, Arrival, Worker
from armseg_ros.segmenter import Segmentation
from armseg_ros.types import Frame, StageTimes

PIXELS = np.zeros((4, 4, 3), np.uint8)


def arrival() -> Arrival:
    message = messages.image_to_message(PIXELS, "bgr8", Header())
    return Arrival(message, time.perf_counter(), 0.0)


class Gated:
    """A segmenter that finds nothing, once it is let through."""

    backend = None

    def __init__(self) -> None:
        self.entered, self.gate = threading.Semaphore(0), threading.Semaphore(0)

    def segment(self, _: Frame) -> Any:
        self.entered.release()
        assert self.gate.acquire(timeout=30)
        return Segmentation(None, None, None, StageTimes())


class Rig:
    def __init__(self, deliver: Callable[[Answer], None] = lambda _: None) -> None:
        self.segmenter, self.statistics = Gated(), Statistics()
        self.said: list[str] = []
        fake: Any = self.segmenter
        self.worker = Worker(
            fake, self.statistics, "/image", deliver=deliver, complain=self.said.append
        )

    def put_one_at_work(self) -> None:
        self.worker.put(arrival())
        assert self.segmenter.entered.acquire(timeout=30)

    def finish(self, images: int) -> None:
        self.segmenter.gate.release(images)
        self.worker.close()

    def counts(self) -> tuple[int, int, dict[str, int]]:
        now = self.statistics.snapshot()
        return now.received, now.answered, {why: n for why, n in now.dropped.items() if n}


def test_answer_that_cannot_be_published_is_failed_alone() -> None:
    answers: list[Answer] = []

    def deliver(answer: Answer) -> None:
        answers.append(answer)
        if len(answers) == 1:
            raise RuntimeError("the publisher is gone")

    rig = Rig(deliver)
    rig.put_one_at_work()
    rig.worker.put(arrival())
    rig.segmenter.gate.release()
    assert rig.segmenter.entered.acquire(timeout=30)
    rig.finish(1)
    assert rig.counts() == (2, 1, {FAILED: 1})
    assert rig.said == ["RuntimeError: the publisher is gone"]
    assert [answer.dropped_since_last for answer in answers] == [0, 1]


def test_image_that_waits_while_it_is_switched_off_is_dropped() -> None:
    answers: list[Answer] = []
    rig = Rig(answers.append)
    rig.put_one_at_work()
    rig.worker.put(arrival())
    rig.worker.clear()
    rig.worker.clear()
    rig.worker.put(arrival())
    rig.segmenter.gate.release()
    assert rig.segmenter.entered.acquire(timeout=30)
    rig.finish(1)
    assert rig.counts() == (3, 2, {OFF: 1})
    assert [answer.dropped_since_last for answer in answers] == [0, 1]


def test_nobody_waits_for_an_engine_that_hangs_once_the_worker_is_closed() -> None:
    rig = Rig()
    reached: list[bool] = []

    def wait() -> None:
        with rig.worker.between_images() as held:
            reached.append(held)

    rig.put_one_at_work()
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert not rig.worker.close(timeout_s=0)
    waiting.join(30)
    assert reached == [False]
    rig.finish(1)


def test_no_image_is_begun_while_somebody_holds_the_worker() -> None:
    rig = Rig()
    with rig.worker.between_images() as held:
        assert held
        rig.worker.put(arrival())
        assert not rig.segmenter.entered.acquire(timeout=0.2)
    assert rig.segmenter.entered.acquire(timeout=30)
    rig.finish(1)


def test_images_at_the_end_are_not_replaced_by_newer_ones() -> None:
    rig = Rig()
    rig.put_one_at_work()
    rig.worker.put(arrival())
    rig.worker.put(arrival())
    rig.worker.close(timeout_s=0)
    rig.worker.put(arrival())
    rig.finish(1)
    assert rig.counts() == (4, 1, {REPLACED: 1, OFF: 2})
