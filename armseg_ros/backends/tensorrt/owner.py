# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns a CUDA context: others hand it work and wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from armseg_ros.errors import BackendError

CLOSE_TIMEOUT_S = 30.0
Resource = TypeVar("Resource")


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[Any], Any]
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: BaseException | None = None


class OwnerThread(Generic[Resource]):
    """Makes a resource, works with it and closes it, all in one thread of its own."""

    def __init__(self, make: Callable[[], Resource], close: Callable[[Resource], None]) -> None:
        """Start the thread and wait until the resource is there.

        Args:
            make: Called in the thread; what it raises is raised here.
            close: Called in the thread when it ends.
        """
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._close = close
        self._lock = threading.Lock()
        self._closed = False
        made = _Job(lambda _: make())
        self._thread = threading.Thread(target=self._run, args=(made,), name="cuda", daemon=True)
        self._thread.start()
        try:
            self._wait(made)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether no more work is taken."""
        return self._closed

    def call(self, work: Callable[[Resource], Any]) -> Any:
        """Run ``work`` in the thread; return what it returns, raise what it raises.

        Raises:
            BackendError: The thread has ended.
        """
        job = _Job(work)
        with self._lock:
            if self._closed:
                raise BackendError("the TensorRT backend is closed")
            self._jobs.put(job)
        return self._wait(job)

    def close(self) -> None:
        """Finish the work at hand, close the resource in its thread, end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _wait(self, job: _Job) -> Any:
        job.done.wait()
        if job.error is not None:
            raise job.error
        return job.result

    def _run(self, made: _Job) -> None:
        self._do(made, None)
        if made.error is not None:
            return
        resource = made.result
        while (job := self._jobs.get()) is not None:
            self._do(job, resource)
            del job  # an answer must not live on here
        self._close(resource)

    @staticmethod
    def _do(job: _Job, resource: Any) -> None:
        try:
            job.result = job.work(resource)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            job.error = error
        finally:
            job.done.set()
