# SPDX-License-Identifier: Apache-2.0
"""A running segmenter node as the one who answers, in lock-step: one picture, one answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import cv2

from armseg_ros.data.image_header import read_header
from armseg_ros.errors import BackendError, ConfigError, DataError
from armseg_ros.evaluate.answer import Answer, NoAnswerError, Provenance, check_class_ids
from armseg_ros.quality.result import Quality
from armseg_ros.types import Detections, Frame, StageTimes, Uint8Array

GONE_WAIT_S = 1.0  # a picture, for a node that one long wait did not bring back

Transport = Literal["raw", "compressed"]

_log = logging.getLogger(__name__)


class LiveAnswer(Protocol):
    """What a client hands back; see ``armseg_ros.ros.live_client.LiveAnswer``."""

    @property
    def detections(self) -> Detections:
        """The instances, in source pixels."""

    @property
    def times(self) -> StageTimes:
        """Wall time per stage within the node."""

    @property
    def backend(self) -> str:
        """Engine and device."""

    @property
    def model_id(self) -> str:
        """Model name and start of its hash."""

    @property
    def round_trip_ms(self) -> float:
        """From publishing to the arrival of the answer."""

    @property
    def quality(self) -> Quality | None:
        """The node's flags; None where it publishes none."""


class Client(Protocol):
    """Publishes a picture and waits for its answer."""

    @property
    def connected(self) -> bool:
        """Whether a segmenter is there."""

    def wait_for_segmenter(self, timeout_s: float) -> None:
        """Wait until one is there."""

    def ask_image(self, image: Uint8Array, timeout_s: float) -> LiveAnswer:
        """Send pixels."""

    def ask_encoded(self, encoded: bytes, image_format: str, timeout_s: float) -> LiveAnswer:
        """Send a picture file."""


class Live:
    """Asks a node about each picture and waits for the answer of just this one."""

    def __init__(
        self,
        client: Client,
        transport: Transport,
        timeout_s: float,
        no_answer: type[Exception],
    ) -> None:
        """Take over a connected client.

        Args:
            client: Publishes and waits.
            transport: What the node listens to.
            timeout_s: Longest wait for an answer, and for a node that has gone, in seconds.
            no_answer: What the client raises when no answer came.
        """
        self._client, self._transport = client, transport
        self._timeout_s, self._no_answer = timeout_s, no_answer
        self._patience_s = timeout_s  # short once a wait was in vain: a bag has many pictures
        self._backend = self._model_id = ""

    def answer(self, frame: Frame, content: Callable[[], bytes], _decode_ms: float) -> Answer:
        """Ask the node; ``NoAnswerError`` after the time is up, so that the next one is asked."""
        try:
            if not self._client.connected:
                _log.warning("the segmenter is gone; waiting %g s for it", self._patience_s)
                patience_s, self._patience_s = self._patience_s, min(self._timeout_s, GONE_WAIT_S)
                self._client.wait_for_segmenter(patience_s)
            self._patience_s = self._timeout_s
            found = self._ask(frame, content)
        except self._no_answer as error:
            raise NoAnswerError(str(error)) from error
        check_class_ids(found.detections)
        if self._model_id not in ("", found.model_id):
            raise BackendError(
                f"the node changed its model from {self._model_id} to {found.model_id}; "
                "start the evaluation again"
            )
        self._backend, self._model_id = found.backend, found.model_id
        return Answer(
            found.detections, None, found.times, found.round_trip_ms, quality=found.quality
        )

    def provenance(self) -> Provenance:
        """Say what the node said about itself; its thresholds are its own."""
        return Provenance("live", self._backend or "unknown", self._model_id or "unknown", "", None)

    def _ask(self, frame: Frame, content: Callable[[], bytes]) -> LiveAnswer:
        if self._transport == "raw":
            return self._client.ask_image(frame.image, self._timeout_s)
        encoded, image_format = _as_file(frame, content())
        return self._client.ask_encoded(encoded, image_format, self._timeout_s)


def _as_file(frame: Frame, content: bytes) -> tuple[bytes, str]:
    """Give the picture file as stored; a raw recording becomes PNG, which loses nothing."""
    try:
        return content, read_header(content).format
    except DataError:
        return bytes(cv2.imencode(".png", frame.image)[1]), "png"


@contextmanager
def connected_to_node(
    transport: Transport,
    timeout_s: float,
    check: Callable[[], None] | None = None,
    *,
    namespace: str = "/",
) -> Iterator[Live]:
    """Connect to the segmenter of this ROS graph.

    Args:
        transport: What the node listens to.
        timeout_s: Longest wait for an answer, in seconds.
        check: Called while waiting for the node or an answer; may raise to end the wait.
        namespace: Of the node and its topics.

    Raises:
        ConfigError: ROS is not installed here.
        DataError: No segmenter is there within 30 seconds or ``timeout_s``, if that is longer.
    """
    try:
        from armseg_ros.ros import live_client
    except ImportError as error:
        raise ConfigError(
            f"a live evaluation needs ROS ({error}); source a ROS 2 workspace with armseg_ros, or "
            "install the package with pip"
        ) from error
    with live_client.LiveSegmenterClient(
        image_transport=transport, namespace=namespace, check=check
    ) as found:
        client: Any = found
        client.wait_for_segmenter(max(30.0, timeout_s))
        yield Live(client, transport, timeout_s, live_client.NoAnswerError)
