# SPDX-License-Identifier: Apache-2.0
"""When the client publishes an image, and when it does so again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from sensor_msgs.msg import Image

from armseg_ros.msg import InstanceArray
from armseg_ros.ros.live_client import LiveAnswer, LiveSegmenterClient
from armseg_ros.ros.qos import RESULT_QOS, image_qos
from armseg_ros.ros.spinner import Spinner

PICTURE = np.zeros((64, 64, 3), np.uint8)


class Player:
    """Plays a segmenter, in a graph of its own as in another process."""

    def __init__(self, mute: bool = False) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("player", context=self.context)
        self.images: list[Image] = []
        self._mute = mute
        self._instances = self.node.create_publisher(
            InstanceArray, "segmenter/instances", RESULT_QOS
        )
        self.node.create_subscription(Image, "image", self._take, image_qos("reliable", 5))
        self.spinner = Spinner(self.node)

    def _take(self, message: Image) -> None:
        self.images.append(message)
        if not self._mute:
            self.answer(message)

    def answer(self, message: Image) -> None:
        out = InstanceArray(header=message.header, image_height=64, image_width=64)
        self._instances.publish(out)


@pytest.fixture
def play() -> Iterator[Callable[..., Player]]:
    players: list[Player] = []

    def make(**options: Any) -> Player:
        players.append(Player(**options))
        return players[-1]

    yield make
    for player in players:
        player.spinner.close()


def wait_until(done: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


class Asking:
    """A question asked in a thread."""

    def __init__(self, client: LiveSegmenterClient) -> None:
        self.answers: list[LiveAnswer] = []
        self._thread = threading.Thread(
            target=lambda: self.answers.append(client.ask_image(PICTURE, 30))
        )
        self._thread.start()

    def finish(self) -> LiveAnswer:
        self._thread.join(40)
        return self.answers[0]


def test_somebody_who_looks_on_gets_no_image_published_twice(play: Any) -> None:
    slow = play(mute=True)
    with LiveSegmenterClient() as client:
        client.wait_for_segmenter(60)
        asking = Asking(client)
        wait_until(lambda: slow.images)
        viewer = slow.node.create_subscription(Image, "image", lambda _: None, 5)
        wait_until(lambda: client._publisher.get_subscription_count() == 2)
        time.sleep(1.0)
        slow.answer(slow.images[0])
        asking.finish()
        slow.node.destroy_subscription(viewer)
    assert len(slow.images) == 1


def test_new_segmenter_gets_the_image_that_the_old_one_left(play: Any) -> None:
    dead = play(mute=True)
    with LiveSegmenterClient() as client:
        client.wait_for_segmenter(60)
        asking = Asking(client)
        wait_until(lambda: dead.images)
        successor = play()
        asking.finish()
    assert len(successor.images) == 1


def test_check_ends_the_wait_for_an_answer(play: Any) -> None:
    silent = play(mute=True)

    def check() -> None:
        if silent.images:
            raise InterruptedError

    with LiveSegmenterClient(check=check) as client:
        client.wait_for_segmenter(60)
        start = time.monotonic()
        with pytest.raises(InterruptedError):
            client.ask_image(PICTURE, 300)
    assert time.monotonic() - start < 60
