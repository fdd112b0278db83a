# SPDX-License-Identifier: Apache-2.0
"""Shards that go wrong in a worker; in a module that a spawned process can import."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

from armseg_ros.evaluate.shards import ShardJob


class DyingJob(ShardJob):
    """A shard that takes its worker down, as a kill for memory does."""

    @property
    def folder(self) -> Any:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().folder


class FailingJob(ShardJob):
    """A shard that meets a fault that nobody thought of."""

    @property
    def folder(self) -> Any:
        raise RuntimeError("out of luck")
