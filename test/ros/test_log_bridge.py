# SPDX-License-Identifier: Apache-2.0
"""The library's log reaches ROS, with its severity."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from armseg_ros.ros.log_bridge import LastMessage, said_by


class Logger:
    """Remembers what it is told, as one of rclpy would say it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __getattr__(self, severity: str) -> Any:
        return lambda text: self.said.append((severity, text))


def test_records_keep_their_severity_and_stay_within_the_block() -> None:
    logger, log = Logger(), logging.getLogger("armseg_ros.backends.some")
    with said_by(logger):
        log.debug("too fine")
        log.info("building: %d %%", 40)
        log.warning("old driver")
        log.error("no driver")
    log.error("later")
    assert logger.said == [
        ("info", "building: 40 %"),
        ("warning", "old driver"),
        ("error", "no driver"),
    ]
    assert logging.getLogger("armseg_ros").propagate


def test_last_message_is_kept_until_the_next_block(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "armseg_ros")
    log, last = logging.getLogger("armseg_ros.backends.some"), LastMessage()
    with last.listen("armseg_ros.backends"):
        assert last.text == ""
        log.info("first")
        log.info("second")
    log.info("outside")
    assert last.text == "second"
    with last.listen("armseg_ros.backends"):
        assert last.text == ""
