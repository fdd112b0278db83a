# SPDX-License-Identifier: Apache-2.0
"""Who evaluates the shards: processes on this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from armseg_ros.errors import BackendError, ConfigError
from armseg_ros.evaluate.shards import ShardJob, ShardResult, run_shard
from armseg_ros.processes import end_with_parent

TRIES = 3  # a shard whose worker dies this often takes workers down itself
CONNECT_S = 10.0  # how long a scheduler may take to answer
POLL_S = 0.5  # how long a request to stop may wait

_stop_event: Any = None


def run_in_processes(
    jobs: Sequence[ShardJob], workers: int, stop: Callable[[], bool]
) -> Iterator[ShardResult]:
    """Evaluate shards in processes of this machine.

    Args:
        jobs: Shards.
        workers: Most processes at a time, at least 1.
        stop: Asked twice a second; True lets the workers finish the pictures at hand and end.

    Yields:
        Each shard's result as it comes; none for shards that ``stop`` kept from starting. A shard
        whose worker died, killed for memory perhaps, is tried again by another, ``TRIES`` times in
        all, and then has that as its error.
    """
    left = {job.source.name: job for job in jobs}
    deaths = 0
    while left and not stop():
        before = len(left)
        try:
            for result in _one_pool(list(left.values()), workers, stop):
                del left[result.name]
                yield result
            return
        except BrokenProcessPool:
            deaths = deaths + 1 if len(left) == before else 1
            if deaths >= TRIES:
                break
    if not stop():
        for name in left:
            yield ShardResult(name, f"its worker process died {TRIES} times without a word")


def _one_pool(
    jobs: Sequence[ShardJob], workers: int, stop: Callable[[], bool]
) -> Iterator[ShardResult]:
    context = multiprocessing.get_context("spawn")  # engines with threads do not survive a fork
    event = context.Event()
    pool = ProcessPoolExecutor(workers, context, _prepare_worker, (event,))
    try:
        names = {pool.submit(_work, job): job.source.name for job in jobs}
        waiting: set[Future[ShardResult]] = set(names)
        while waiting:
            done, waiting = wait(waiting, POLL_S, FIRST_COMPLETED)
            if stop() and not event.is_set():
                event.set()
                waiting = {future for future in waiting if not future.cancel()}
            for future in done:
                if not future.cancelled():
                    yield _result(future, names[future], "worker process")
    finally:  # however it ends, the workers do not go on
        event.set()
        pool.shutdown(cancel_futures=True)


def _prepare_worker(event: Any) -> None:
    """Leave Ctrl-C, which reaches the whole group, to the parent; but end when it does."""
    global _stop_event
    _stop_event = event
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _work(job: ShardJob) -> ShardResult:
    return run_shard(job, _stop_event.is_set)


def run_on_dask(
    jobs: Sequence[ShardJob], address: str, stop: Callable[[], bool]
) -> Iterator[ShardResult]:
    """Evaluate shards on a Dask cluster whose workers see the same folders and have this package.

    Args:
        jobs: Shards, with paths that the workers can read and write.
        address: Of the scheduler, such as ``tcp://10.0.0.5:8786``.
        stop: Asked between results; True cancels what has not started.

    Yields:
        Each shard's result as it comes. Dask gives the shards of a worker that died to others.

    Raises:
        ConfigError: dask.distributed is not installed.
        BackendError: No scheduler answers at the address.
    """
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--dask needs {error.name}, which is not installed: pip install 'armseg_ros[dask]'"
        ) from error
    try:
        client: Any = distributed.Client(address, timeout=CONNECT_S)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise BackendError(f"no Dask scheduler answers at {address} ({error})") from error
    with client:
        futures = {
            client.submit(run_shard, job, pure=False, retries=TRIES - 1): job for job in jobs
        }
        finished: Any = distributed.as_completed(futures)  # type: ignore[no-untyped-call]
        for future in finished:
            yield _result(future, futures[future].source.name, "Dask worker")
            if stop():
                client.cancel(list(futures))
                return


def _result(future: Any, name: str, worker: str) -> ShardResult:
    """Take a result; whatever a worker raised is the error of that shard alone."""
    try:
        result: ShardResult = future.result()
    except BrokenProcessPool:  # says nothing of which shard broke it
        raise
    except Exception as error:  # noqa: BLE001
        return ShardResult(name, f"its {worker} failed: {type(error).__name__}: {error}")
    return result
