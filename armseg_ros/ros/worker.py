# SPDX-License-Identifier: Apache-2.0
"""The thread that segments, beside the one that talks to ROS."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from armseg_ros.backends.base import Backend
from armseg_ros.config import SegmenterConfig
from armseg_ros.errors import BackendError, DataError, EngineLostError, one_line
from armseg_ros.ros.diagnostics import (
    AGE,
    BROKEN,
    FAILED,
    OFF,
    PUBLISH,
    REPLACED,
    STALE,
    WAIT,
    Statistics,
)
from armseg_ros.ros.images import frame_from_message
from armseg_ros.ros.slot import NewestSlot, Put
from armseg_ros.segmenter import Segmentation, Segmenter
from armseg_ros.types import Frame

POLL_S = 0.05
CLOSE_TIMEOUT_S = 2.0  # for the image at hand; a node must be gone 3 seconds after a signal


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """An image message, and when it came.

    Attributes:
        message: ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``.
        received: ``time.perf_counter()`` on arrival, in seconds.
        age_ms: Milliseconds from its stamp to its arrival; NaN without a stamp.
    """

    message: Any
    received: float
    age_ms: float

    def age_now_ms(self) -> float:
        """Milliseconds from the stamp to now."""
        return self.age_ms + (time.perf_counter() - self.received) * 1e3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A segmented image, with its times from arrival on.

    Attributes:
        arrival: The message.
        frame: Its pixels.
        segmentation: What was found.
        dropped_since_last: Images that came after the one answered before and before this one.
        backend: The engine that found it.
    """

    arrival: Arrival
    frame: Frame
    segmentation: Segmentation
    dropped_since_last: int
    backend: Backend


class Worker:
    """Segments the newest image, again and again, until it is closed.

    Attributes:
        max_age_ms: Images older than this are dropped; 0 keeps all.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        statistics: Statistics,
        topic: str,
        *,
        deliver: Callable[[Answer], None],
        complain: Callable[[str], None],
        lose: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            segmenter: Used by this thread alone until it is exchanged.
            statistics: Where images are counted.
            topic: Input topic, for error messages.
            deliver: Called in this thread with each answer.
            complain: Called in this thread with a sentence for each image that could not be used.
            lose: Called in this thread with a sentence where the engine is lost for good.
        """
        self.max_age_ms = 0.0
        self._segmenter = segmenter
        self._statistics = statistics
        self._topic = topic
        self._deliver = deliver
        self._complain = complain
        self._lose = lose
        self._slot: NewestSlot[Arrival] = NewestSlot()
        self._dropped = 0  # since the last answer; of the thread alone
        self._turn = threading.Lock()  # held while an image is at hand
        self._taken_at: float | None = None
        self._thread = threading.Thread(target=self._work, name="segmenter", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether an image waits."""
        return self._slot.full

    @property
    def at_hand_s(self) -> float | None:
        """Seconds that an image has been at hand; None while none is."""
        taken_at = self._taken_at
        return None if taken_at is None else time.monotonic() - taken_at

    def put(self, arrival: Arrival) -> None:
        """Hand over an image; it takes the place of one that still waits."""
        put = self._slot.put(arrival)
        self._statistics.receive()
        if put is not Put.PLACED:
            self._statistics.drop(REPLACED if put is Put.REPLACED else OFF)

    def clear(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Drop the image that waits, and wait until the one at hand is answered."""
        if self._slot.clear():
            self._statistics.drop(OFF)
        if self._turn.acquire(timeout=timeout_s):
            self._turn.release()

    def configure(self, config: SegmenterConfig, max_age_ms: float) -> None:
        """Set what the next image is segmented with."""
        self._segmenter.config, self.max_age_ms = config, max_age_ms

    @contextmanager
    def between_images(self) -> Iterator[bool]:
        """Wait for the image at hand, and begin no other one while the block runs.

        Yields:
            Whether that was reached; false once it is closed, for an engine may hang.
        """
        held = False
        while not held and not self._slot.closed:
            held = self._turn.acquire(timeout=POLL_S)
        try:
            yield held
        finally:
            if held:
                self._turn.release()

    def exchange(self, segmenter: Segmenter) -> None:
        """Go on with another segmenter from the next image on; call it ``between_images``."""
        self._segmenter = segmenter

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """Finish the image at hand, drop the one that waits and end the thread.

        Returns:
            Whether it has ended; an engine that hangs keeps it.
        """
        if self._slot.close():
            self._statistics.drop(OFF)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (taken := self._slot.take()) is not None:
            arrival, lost = taken
            self._dropped += lost
            try:
                with self._turn:
                    self._taken_at = time.monotonic()
                    self._handle(arrival)
            except DataError as error:
                self._refuse(BROKEN, str(error))
            except BackendError as error:
                self._refuse(FAILED, str(error))
                if isinstance(error, EngineLostError):
                    self._lose(str(error))
            except Exception as error:  # noqa: BLE001 - one image must never end the node
                self._refuse(FAILED, f"{type(error).__name__}: {one_line(error)}")
            finally:
                self._taken_at = None

    def _refuse(self, reason: str, error: str) -> None:
        self._dropped += 1
        self._statistics.drop(reason, error)
        self._complain(error)

    def _handle(self, arrival: Arrival) -> None:
        if 0 < self.max_age_ms < arrival.age_now_ms():
            self._dropped += 1
            self._statistics.drop(STALE)
            return
        start = time.perf_counter()
        frame = frame_from_message(arrival.message, self._topic)
        decode_ms = (time.perf_counter() - start) * 1e3
        segmentation = self._segmenter.segment(frame)
        total_ms = (time.perf_counter() - arrival.received) * 1e3
        times = dataclasses.replace(segmentation.times, decode=decode_ms, total=total_ms)
        segmentation = dataclasses.replace(segmentation, times=times)
        backend = self._segmenter.backend
        self._deliver(Answer(arrival, frame, segmentation, self._dropped, backend))
        stages = dataclasses.asdict(times) | {
            AGE: arrival.age_ms,
            WAIT: (start - arrival.received) * 1e3,
            PUBLISH: (time.perf_counter() - arrival.received) * 1e3 - total_ms,
        }
        self._dropped = 0
        self._statistics.answer(stages, segmentation.quality)
