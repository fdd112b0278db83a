# SPDX-License-Identifier: Apache-2.0
"""One of many sources, evaluated on its own: by any process on any machine, once, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from armseg_ros.data.joined import NamedSource
from armseg_ros.errors import ArmsegError, DataError
from armseg_ros.evaluate.answer import EngineChoice, open_in_process
from armseg_ros.evaluate.settings import EvaluateConfig

SHARDS = "shards"
_KEY_FILE = "shard.json"


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What a worker needs to know.

    Attributes:
        source: What to evaluate.
        run: Folder of the whole run; the shard's own is ``run/shards/NAME``.
        config: Settings.
        engine: Who answers.
        model_sha256: Hash of its model; an answer of another one is no answer.
        split: Where a source holds several.
        image_topic: Where a bag holds several cameras.
    """

    source: NamedSource
    run: Path
    config: EvaluateConfig
    engine: EngineChoice
    model_sha256: str
    split: str | None = None
    image_topic: str | None = None

    @property
    def folder(self) -> Path:
        """Where the shard's run is written."""
        return self.run / SHARDS / self.source.name

    def key(self) -> dict[str, Any]:
        """Tell everything that an answer depends on, the size and age of the source among it."""
        return {
            "source": str(self.source.path.absolute()),
            "content": _state_of(self.source.path),
            "config": asdict(self.config),
            "model_sha256": self.model_sha256,
            "backend": self.engine.backend,
            "precision": self.engine.precision,
            "flags": str(self.engine.flags or ""),
            "split": self.split,
            "image_topic": self.image_topic,
        }


@dataclass(frozen=True, slots=True)
class ShardResult:
    """How a shard ended.

    Attributes:
        name: Its name.
        error: Why it could not be evaluated; empty where it was.
        stopped: Whether somebody asked to stop before its end.
    """

    name: str
    error: str = ""
    stopped: bool = False


def is_finished(job: ShardJob) -> bool:
    """Whether a former call evaluated this very shard to its end."""
    try:
        key = json.loads((job.folder / _KEY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    # Through JSON, so that tuples and lists compare equal.
    return bool(key == json.loads(json.dumps(job.key())))


def run_shard(job: ShardJob, stop: Callable[[], bool] = lambda: False) -> ShardResult:
    """Evaluate a shard; what is finished already is left as it is.

    The shard is written beside its place and moved there at its end, so that a kill at any moment
    leaves it whole or absent.
    """
    if is_finished(job):
        return ShardResult(job.source.name)
    part = job.folder.with_name(job.folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(job.folder, ignore_errors=True)
        complete = _evaluate(job, part, stop)
        if not complete:
            return ShardResult(job.source.name, stopped=True)
        (part / _KEY_FILE).write_text(json.dumps(job.key()), encoding="utf-8")
        part.replace(job.folder)
    except ArmsegError as error:
        return ShardResult(job.source.name, str(error))
    except OSError as error:
        where = error.filename or job.folder
        return ShardResult(job.source.name, f"{where}: {error.strerror or error}")
    return ShardResult(job.source.name)


def _evaluate(job: ShardJob, folder: Path, stop: Callable[[], bool]) -> bool:
    from armseg_ros.data.source import open_source
    from armseg_ros.evaluate.run import evaluate

    source = open_source(job.source.path, job.split, job.image_topic)
    with open_in_process(job.engine, job.config) as answerer:
        found = answerer.provenance().sha256
        if found != job.model_sha256:
            raise DataError(
                f"{job.engine.model or 'the shipped model'}: expected SHA-256 "
                f"{job.model_sha256[:12]}, found {found[:12]}; give every worker the same model"
            )
        summary = evaluate(source, answerer, job.config, folder, stop=stop, mergeable=True)
    return bool(summary["complete"])


def _state_of(path: Path) -> list[list[Any]]:
    """Size and time of change of every file of a source, by name."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    root = path.parent if path.is_file() else path
    states = [(file.relative_to(root), file.stat()) for file in files]
    return [[str(name), state.st_size, state.st_mtime_ns] for name, state in states]
