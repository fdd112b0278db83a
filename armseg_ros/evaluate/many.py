# SPDX-License-Identifier: Apache-2.0
"""Evaluate many sources: each once, by whoever is free, and then all together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from armseg_ros.data.new_folder import refuse_used
from armseg_ros.errors import DataError
from armseg_ros.evaluate.merge import ShardRun, merge
from armseg_ros.evaluate.shards import SHARDS, ShardJob, ShardResult, is_finished
from armseg_ros.quality.shipped import open_flags

Runner = Callable[[Sequence[ShardJob], Callable[[], bool]], Iterator[ShardResult]]
STOPPED = "stopped before its end"

_log = logging.getLogger(__name__)


def evaluate_many(
    jobs: Sequence[ShardJob],
    run_jobs: Runner,
    *,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Evaluate shards that are not finished yet, and merge all that are.

    A source that cannot be evaluated is named in the log and in the summary, and the others go on.

    Args:
        jobs: One for each source, all of one run folder.
        run_jobs: Evaluates them, see ``runners``.
        resume: Go on in a run folder that holds finished shards; they are left as they are where
            source, model and settings are still the same.
        stop: Asked now and then; True ends the run early, with what there is.

    Returns:
        The summary as written; ``complete`` is False where a source is missing.

    Raises:
        DataError: The run folder is in use, or no source could be evaluated.
        KeyboardInterrupt: ``stop`` ended it before the first source was done.
    """
    run = jobs[0].run
    _prepare(run, resume)
    errors: dict[str, str] = {}
    waiting = [job for job in jobs if not is_finished(job)]
    if len(waiting) < len(jobs):
        _log.info("%d of %d sources are finished already", len(jobs) - len(waiting), len(jobs))
    progress = tqdm(total=len(jobs), initial=len(jobs) - len(waiting), unit="source", disable=None)
    with progress:
        for result in run_jobs(waiting, stop) if waiting else ():
            progress.update()
            if result.error:
                errors[result.name] = result.error
                _log.warning("%s: %s", result.name, result.error)
    finished = {job.source.name for job in jobs if is_finished(job)}
    if not finished and stop():
        raise KeyboardInterrupt(f"{run} holds no source yet; go on with --resume")
    errors = {
        job.source.name: errors.get(job.source.name, STOPPED)
        for job in jobs
        if job.source.name not in finished
    }
    shards = [ShardRun(job.source, job.folder) for job in jobs if job.source.name in finished]
    flags = open_flags(jobs[0].engine.flags)
    return merge(run, shards, jobs[0].config, errors, flags)


def _prepare(run: Path, resume: bool) -> None:
    if not resume:
        refuse_used(run, "run folder, or go on with it by --resume")
    try:
        (run / SHARDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{run} cannot be made: {error.strerror or error}") from error
