# SPDX-License-Identifier: Apache-2.0
"""The newest item wins, every lost one is reported, closing wakes the taker."""

from __future__ import annotations

import threading

from armseg_ros.ros.slot import NewestSlot, Put


def test_newest_wins_and_losses_are_reported() -> None:
    slot: NewestSlot[int] = NewestSlot()
    assert [slot.put(n) for n in (1, 2, 3)] == [Put.PLACED, Put.REPLACED, Put.REPLACED]
    assert slot.take() == (3, 2)
    assert slot.put(4) is Put.PLACED
    assert slot.clear() is True
    assert slot.clear() is False
    assert slot.put(5) is Put.PLACED
    assert slot.take() == (5, 1)


def test_close_wakes_the_taker_and_refuses_items() -> None:
    slot: NewestSlot[int] = NewestSlot()
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(slot.take()))
    taker.start()
    assert slot.close() is False
    assert slot.close() is False
    taker.join(10)
    assert taken == [None]
    assert slot.put(1) is Put.REFUSED
    assert slot.take() is None


def test_no_item_is_taken_twice_or_lost_without_a_report() -> None:
    slot: NewestSlot[int] = NewestSlot()
    taken: list[tuple[int, int]] = []

    def take_all() -> None:
        while (item := slot.take()) is not None:
            taken.append(item)
            if item[0] == 1999:
                return

    taker = threading.Thread(target=take_all)
    taker.start()
    lost = sum(slot.put(n) is Put.REPLACED for n in range(2000))
    taker.join(30)
    numbers = [number for number, _ in taken]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 1999
    assert len(numbers) + lost == 2000
    gaps = [after - before - 1 for before, after in zip([-1, *numbers], numbers, strict=False)]
    assert [replaced for _, replaced in taken] == gaps
