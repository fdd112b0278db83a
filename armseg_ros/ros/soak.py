# SPDX-License-Identifier: Apache-2.0
"""Drive a segmenter node for minutes or hours: images as fast as it takes them, and faults.

The run is cut into rounds. A round begins with a single image that is answered, goes on with
images of every kind while parameters, models and viewers change, and ends in a way of its own:
quietly, or with something switched off while images are under way.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle_msgs.msg import Transition
from std_srvs.srv import SetBool, Trigger

from armseg_ros.ros import soak_frames
from armseg_ros.ros.segmenter_process import SegmenterProcess, start_segmenter_process
from armseg_ros.ros.soak_client import SoakClient
from armseg_ros.soak.memory import Memory, resident_mib
from armseg_ros.soak.verdict import Outcome

ROUND_S = (3.0, 12.0)  # shortest and longest
ANSWER_TIMEOUT_S = 60.0  # an image that takes longer has been forgotten
CONNECT_TIMEOUT_S = 120.0
RESEND_S = 15.0  # longer than an answer takes on a busy machine
BROKEN_SHARE = 0.3
MEDDLE_SHARE = 0.02  # of the images: as often something else happens before it is sent
RELOAD_SHARE = 0.05  # of that, since a reload takes as long as some images
SAMPLE_S = 1.0
PROGRESS_S = 30.0

GOOD_VALUES: dict[str, tuple[Any, ...]] = {
    "score_threshold": (0.05, 0.25, 0.9, 1.0),
    "iou_threshold": (0.1, 0.45, 1.0),
    "max_detections": (1, 100, 1000),
    "class_ids": ([-1], [0], [1]),
    "overlay_scale": (0.05, 0.5, 1.0),
    "max_age_ms": (0.0, 1000.0),
}
BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "score_threshold": (2.0, -1.0, float("nan"), "high", 1),
    "max_detections": (0, 10**9, -1),
    "class_ids": ([-7], "all"),
    "overlay_scale": (0.0, float("nan"), float("inf")),
    "max_age_ms": (-1.0, float("nan")),
    "model": (5,),
    "image_transport": ("compressed",),
    "unknown": (1,),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SoakSettings:
    """What a soak does.

    Attributes:
        minutes: How long.
        seed: Of all choices.
        parameters: Of the node.
    """

    minutes: float
    seed: int
    parameters: dict[str, Any]


class Soak:
    """One run."""

    def __init__(
        self,
        settings: SoakSettings,
        process: SegmenterProcess,
        client: SoakClient,
        stop: Callable[[], bool],
    ) -> None:
        """Take over a started node and a client; ``stop`` ends the run early."""
        self._settings, self._process, self._client = settings, process, client
        self._stop = stop
        self._chooser = random.Random(settings.seed)
        self._pictures = soak_frames.make_pictures(settings.seed)
        self._memory, self._actions = Memory(), Counter[str]()
        self._start = self._next_progress = self._next_sample = time.monotonic()
        self._number = 0

    def run(self) -> Outcome:
        """Run all rounds and return what was seen."""
        endings = {
            "quiet ends": self._settle,
            "switched off and on": self._switch,
            "deactivated and activated": self._deactivate,
            "cleaned up and configured": self._clean_up,
            "camera restarts": self._restart_camera,
        }
        while not self._is_over():
            if not self._open_round():
                break
            self._flow()
            if self._is_over():
                break
            name = self._chooser.choice(list(endings))
            self._actions[name] += 1
            endings[name]()
        self._settle()
        return Outcome(
            self._client.ledger,
            self._quiet_counts(),
            self._memory,
            dict(self._actions),
            (time.monotonic() - self._start) / 60,
        )

    def _is_over(self) -> bool:
        return self._stop() or time.monotonic() - self._start > self._settings.minutes * 60

    def _open_round(self) -> bool:
        """Send images until one is answered: only then both sides know of each other."""
        end = time.monotonic() + CONNECT_TIMEOUT_S
        while time.monotonic() < end and not self._stop():
            if self._client.wait(lambda: self._client.connected, RESEND_S):
                self._expose()  # what was sent before the node listened
                self._send(healthy=True)
                if self._client.wait_for_room(RESEND_S, 1):
                    return True
        with self._client.changed:
            self._client.ledger.expose()
            if not self._stop():
                self._client.ledger.wrong.append(
                    f"no answer came within {CONNECT_TIMEOUT_S:.0f} s after the node was to listen"
                )
        return False

    def _flow(self) -> None:
        """Send images as fast as the node settles them."""
        end = time.monotonic() + self._chooser.uniform(*ROUND_S)
        while time.monotonic() < end and not self._is_over():
            self._measure()
            if self._chooser.random() < MEDDLE_SHARE:
                self._meddle()
            if not self._client.wait_for_room(ANSWER_TIMEOUT_S):
                with self._client.changed:
                    self._client.ledger.give_up()
            full = self._client.ledger.open == 3  # the last one must bring an answer
            self._send(healthy=full or self._chooser.random() >= BROKEN_SHARE)

    def _send(self, healthy: bool) -> None:
        self._number += 1
        name = f"soak_{self._number:08d}"
        make = soak_frames.healthy if healthy else soak_frames.broken
        self._client.send(make(self._chooser, self._pictures, name), healthy)

    def _meddle(self) -> None:
        """Change something that must not cost an image."""
        if self._chooser.random() < RELOAD_SHARE:
            self._actions["model reloads"] += 1
            if not self._client.call("reload_model", Trigger.Request()).success:
                self._complain("the model could not be reloaded")
        elif self._chooser.random() < 0.2:
            self._actions["viewer changes"] += 1
            self._client.toggle_viewer()
        else:
            self._set_parameter()

    def _set_parameter(self) -> None:
        good = self._chooser.random() < 0.6
        values = GOOD_VALUES if good else BAD_VALUES
        name = self._chooser.choice(list(values))
        value = self._chooser.choice(values[name])
        self._actions["parameters set" if good else "parameters refused"] += 1
        if self._client.set_parameter(name, value) is not good:
            self._complain(f"{name}={value!r} was {'refused' if good else 'accepted'}")

    def _settle(self) -> None:
        """End a round with an answer, so that every image of it is settled."""
        if self._client.ledger.open:
            self._send(healthy=True)
        if not self._client.wait_for_room(ANSWER_TIMEOUT_S, 1):
            with self._client.changed:
                self._client.ledger.give_up()

    def _switch(self) -> None:
        for on in (False, True):
            if not self._client.call("enable", SetBool.Request(data=on)).success:
                self._complain(f"the node could not be switched {'on' if on else 'off'}")
            self._expose()

    def _deactivate(self) -> None:
        self._change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)

    def _clean_up(self) -> None:
        self._change(
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
        )

    def _change(self, *transitions: int) -> None:
        for transition in transitions:
            if not self._client.change_state(transition):
                self._complain(f"transition {transition} of the life cycle failed")
            self._expose()

    def _restart_camera(self) -> None:
        self._client.restart_camera()
        self._expose()

    def _expose(self) -> None:
        with self._client.changed:
            self._client.ledger.expose()

    def _complain(self, sentence: str) -> None:
        with self._client.changed:
            self._client.ledger.wrong.append(sentence)

    def _measure(self) -> None:
        """Note the memory, and say now and then how it goes."""
        now = time.monotonic()
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_S
            self._memory.add(now - self._start, resident_mib(self._process.pid))
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_S
            ledger = self._client.ledger
            log.info(
                "%.1f min: %d sent, %d answered, %d lost, %.0f MiB",
                *((now - self._start) / 60, ledger.sent, ledger.answered, ledger.lost),
                self._memory.last_mib,
            )

    def _quiet_counts(self) -> Any:
        """Wait for counts that were published after the last image was settled."""
        quiet = time.monotonic() + 1.0  # one that was being made may be from before
        self._client.wait(lambda: self._client.counts[1] > quiet, 10.0)
        return self._client.counts[0]


def soak(settings: SoakSettings, stop: Callable[[], bool] = lambda: False) -> tuple[Outcome, str]:
    """Start a node in a process of its own and soak it.

    Returns:
        What was seen, and what the node wrote to its log.

    Raises:
        BackendError: The node died or stopped to answer its services; its last words are told.
    """
    with start_segmenter_process(settings.parameters) as process:
        with SoakClient(process.check_running) as client:
            outcome = Soak(settings, process, client, stop).run()
        return outcome, process.log()
