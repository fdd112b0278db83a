# SPDX-License-Identifier: Apache-2.0
"""The log of a training run."""

from __future__ import annotations

from armseg_ros.train.history import History, read_history


def test_a_check_completes_the_row_of_its_step(tmp_path) -> None:
    history = History(tmp_path, 0)
    history.add({"step": 50, "minutes": 1.0, "mask": 0.5})
    history.add({"step": 100, "minutes": 2.0, "mask": 0.4})
    history.add({"step": 100, "minutes": 2.1, "object_ap": 0.3})
    history.write_table()
    assert read_history(tmp_path / "log.csv") == [
        {"step": 50, "minutes": 1.0, "mask": 0.5},
        {"step": 100, "minutes": 2.1, "mask": 0.4, "object_ap": 0.3},
    ]
