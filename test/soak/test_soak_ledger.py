# SPDX-License-Identifier: Apache-2.0
"""The book of a soak, the slope of memory, and each promise that can be broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from armseg_ros.errors import BackendError
from armseg_ros.soak.ledger import Ledger, NodeCounts
from armseg_ros.soak.memory import Memory, resident_mib
from armseg_ros.soak.verdict import Outcome, broken_promises, report


def sent(*healthy: bool) -> Ledger:
    ledger = Ledger()
    for number, good in enumerate(healthy):
        ledger.send(f"image {number}", good)
    return ledger


def test_an_answer_settles_what_was_dropped_before_it() -> None:
    ledger = sent(True, False, True, True)
    ledger.answer("image 2", 2)
    assert (ledger.answered, ledger.open, ledger.lost) == (1, 1, 0)
    ledger.answer("image 3", 0)
    assert (ledger.answered, ledger.open, ledger.lost) == (2, 0, 0)


def test_an_image_that_nobody_counts_is_lost() -> None:
    ledger = sent(True, True, True)
    ledger.answer("image 2", 1)
    assert ledger.lost == 1
    ledger.send("image 3", True)
    ledger.give_up()
    assert ledger.lost == 2


def test_images_that_may_be_lost_are_exposed_and_late_answers_to_them_are_nobodys() -> None:
    ledger = sent(True, True)
    ledger.expose()
    ledger.answer("image 1", 0)
    assert (ledger.exposed, ledger.answered, ledger.lost) == (2, 0, 0)


def test_a_late_answer_to_an_exposed_image_tells_of_newer_ones_that_were_dropped() -> None:
    """Images of a camera that left may arrive after the first ones of its successor."""
    ledger = sent(True)
    ledger.expose()
    for name in ("a", "b", "c"):
        ledger.send(name, True)
    ledger.answer("image 0", 1)  # of an image that was exposed; "a" was dropped before it
    ledger.answer("b", 0)
    assert ledger.lost == 0
    ledger.send("d", True)
    ledger.answer("d", 0)  # and now nobody has told of "c"
    assert ledger.lost == 1


def test_an_answer_to_a_broken_image_is_wrong() -> None:
    ledger = sent(False)
    ledger.answer("image 0", 0)
    assert ledger.wrong == ["image image 0 is broken and was answered all the same"]


def test_growth_is_measured_after_the_warm_up() -> None:
    memory = Memory()
    for second in range(1200):
        warm = min(second, 300)
        held_for_later = 30 if second % 60 > 20 else 0
        memory.add(second, 200 + warm + 0.002 * second + held_for_later)
    assert memory.slope() == pytest.approx(1.2)
    assert memory.peak_mib == memory.last_mib


@pytest.mark.parametrize("seconds", [0, 100])
def test_a_short_run_has_no_slope(seconds: int) -> None:
    memory = Memory()
    for second in range(seconds):
        memory.add(second, 100.0)
    assert memory.slope() is None


def test_memory_of_a_process() -> None:
    assert resident_mib(os.getpid()) > 10
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(BackendError, match=f"process {child.pid} is gone"):
        resident_mib(child.pid)


def outcome(ledger: Ledger, node: NodeCounts, growth: float = 0.0) -> Outcome:
    memory = Memory([(float(s), 100 + growth * s / 600) for s in range(0, 1000, 10)])
    return Outcome(ledger, node, memory, {"model reloads": 2}, 16.7)


def test_promises_that_are_kept() -> None:
    ledger = sent(True, False, True)
    ledger.answer("image 2", 2)
    node = NodeCounts(3, 1, {"not readable": 1, "replaced by a newer one": 1})
    result = outcome(ledger, node, 0.5)
    assert broken_promises(result) == []
    text = report(result)
    assert "dropped     1 not readable, 1 replaced by a newer one" in text
    assert "memory      100 MiB at the start, 101 at the end, 101 at most, +0.50 MiB per" in text
    assert "done to it  2 model reloads" in text


@pytest.mark.parametrize(
    ("node", "growth", "sentence"),
    [
        (NodeCounts(2, 1), 0.0, "received 2 images, but counts 1 as answered and 0 as dropped"),
        (NodeCounts(3, 2, {"not readable": 1}), 0.0, "2 images at least 2 had to arrive"),
        (NodeCounts(2, 0, {"not readable": 2}), 0.0, "1 answers came, but the node counts 0"),
        (NodeCounts(2, 1, {"failed in the network": 1}), 0.0, "1 images failed in the network"),
        (NodeCounts(2, 1, {"not readable": 1}), 1.5, "memory grows by 1.50 MiB in 10 minutes"),
    ],
)
def test_promises_that_are_broken(node: NodeCounts, growth: float, sentence: str) -> None:
    ledger = sent(True, True)
    ledger.answer("image 1", 1)
    broken = broken_promises(outcome(ledger, node, growth))
    assert any(sentence in promise for promise in broken), broken


def test_a_soak_without_an_answer_proves_nothing() -> None:
    [broken] = broken_promises(outcome(Ledger(), NodeCounts()))
    assert "no image was answered" in broken


def test_a_lost_image_breaks_a_promise() -> None:
    ledger = sent(True, True)
    ledger.answer("image 1", 0)
    broken = broken_promises(outcome(ledger, NodeCounts(2, 1, {"not readable": 1})))
    assert broken == ["1 images were neither answered nor counted as dropped"]
