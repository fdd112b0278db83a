# SPDX-License-Identifier: Apache-2.0
"""Many sources: the merged run is the run on all of them, whoever made the parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import totes
import yaml
from bad_jobs import DyingJob, FailingJob
from networks import write_network

from armseg_ros.cli.main import main
from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.data.joined import JoinedSource, NamedSource, find_sources
from armseg_ros.errors import BackendError, DataError
from armseg_ros.evaluate.answer import EngineChoice, open_in_process
from armseg_ros.evaluate.many import STOPPED, evaluate_many
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.runners import run_in_processes, run_on_dask
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.shards import ShardJob, ShardResult, run_shard

TIMES = {"decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms", "quality_ms", "total_ms"}
CONFIG = EvaluateConfig(overlays=1)
CLUSTER = "from distributed.cli.dask_{0} import main; main()"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag, a COCO folder and pictures without labels; one picture is damaged."""
    folder = tmp_path_factory.mktemp("recordings") / "day"
    coco = totes.write_coco(folder / "labelled", count=4)
    write_bag_from_coco(coco, "test", folder / "bag")
    (coco / "images/cell_1/001.jpg").write_bytes(b"not a picture")
    totes.write_coco(folder / "plain", count=2, labelled=False)
    return folder


def make_jobs(day: Path, run: Path, model: Path) -> list[ShardJob]:
    engine = EngineChoice(model, "onnxruntime", threads=1)
    with open_in_process(engine, CONFIG) as answerer:
        sha256 = answerer.provenance().sha256
    return [ShardJob(source, run, CONFIG, engine, sha256) for source in find_sources([day])]


def here(jobs: Any, stop: Callable[[], bool]) -> Iterator[ShardResult]:
    """Evaluate in this process, one after the other."""
    for job in jobs:
        yield run_shard(job, stop)


def two_processes(jobs: Any, stop: Callable[[], bool]) -> Iterator[ShardResult]:
    return run_in_processes(jobs, 2, stop)


@pytest.fixture(scope="module")
def merged(day: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "merged"
    evaluate_many(make_jobs(day, run, model), two_processes)
    return run


def summary_of(run: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return summary


def rows_of(run: Path, name: str) -> list[dict[str, Any]]:
    table = pq.read_table(run / f"{name}.parquet")
    return [
        {key: value for key, value in row.items() if key not in TIMES} for row in table.to_pylist()
    ]


def test_the_merged_run_is_the_run_on_the_joined_sources(
    day: Path, model: Path, merged: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    with open_in_process(EngineChoice(model, "onnxruntime", 1), CONFIG) as answerer:
        evaluate(JoinedSource(find_sources([day])), answerer, CONFIG, whole)
    for name in ("samples", "instances"):
        assert json.dumps(rows_of(merged, name)) == json.dumps(rows_of(whole, name))
        assert pq.read_schema(merged / f"{name}.parquet") == pq.read_schema(
            whole / f"{name}.parquet"
        )
    for name in ("predictions", "ground_truth", "predictions_unlabelled"):
        texts = [json.loads((run / f"{name}.json").read_text()) for run in (merged, whole)]
        assert texts[0] == texts[1]
    ours, theirs = summary_of(merged), summary_of(whole)
    for key in ("complete", "model", "settings", "frames", "accuracy", "splits", "flags"):
        assert ours[key] == theirs[key], key
    assert ours["data"]["kind"] == theirs["data"]["kind"] == "several"
    assert ours["frames"] == {
        "total": 10, "answered": 9, "dropped": 0, "failed": 1,
        "unanswered": ours["frames"]["unanswered"],
    }  # fmt: skip
    assert ours["frames"]["unanswered"][0]["sample_id"] == "labelled/cell_1/001.jpg"


def test_config_names_every_source(day: Path, merged: Path) -> None:
    config = yaml.safe_load((merged / "config.yaml").read_text(encoding="utf-8"))
    assert config["source"] == {
        name: str((day / name).resolve()) for name in ("bag", "labelled", "plain")
    }


def test_resuming_does_what_is_missing_and_nothing_else(
    day: Path, model: Path, tmp_path: Path
) -> None:
    jobs = make_jobs(day, tmp_path / "run", model)
    stopped = evaluate_many(jobs[:2], here)
    assert stopped["complete"] is True
    with pytest.raises(DataError, match="not empty; choose another run folder, or go on with it"):
        evaluate_many(jobs, here)
    done: list[str] = []

    def noted(waiting: Any, stop: Callable[[], bool]) -> Iterator[ShardResult]:
        done.extend(job.source.name for job in waiting)
        return here(waiting, stop)

    summary = evaluate_many(jobs, noted, resume=True)
    assert done == ["plain"]
    assert summary["frames"]["total"] == 10
    (day / "plain/images/cell_0/000.jpg").touch()  # another age: perhaps another picture
    done.clear()
    evaluate_many(jobs, noted, resume=True)
    assert done == ["plain"]


def test_what_a_former_merge_left_does_not_stay(day: Path, model: Path, tmp_path: Path) -> None:
    jobs = make_jobs(day, tmp_path / "run", model)
    evaluate_many(jobs, here)
    assert (tmp_path / "run/predictions_unlabelled.json").is_file()
    evaluate_many(jobs[:1], here, resume=True)  # without the unlabelled pictures
    assert not (tmp_path / "run/predictions_unlabelled.json").exists()
    evaluate_many(jobs[2:], here, resume=True)  # and with these alone
    assert not (tmp_path / "run/ground_truth.json").exists()


def test_stopping_keeps_what_is_finished(day: Path, model: Path, tmp_path: Path) -> None:
    jobs = make_jobs(day, tmp_path / "run", model)
    finished: list[str] = []

    def one(waiting: Any, stop: Callable[[], bool]) -> Iterator[ShardResult]:
        for result in here(waiting, lambda: bool(finished)):
            finished.append(result.name)
            yield result

    summary = evaluate_many(jobs, one)
    assert summary["complete"] is False
    assert summary["data"]["missing_sources"] == {"labelled": STOPPED, "plain": STOPPED}
    assert not (jobs[1].folder).exists()


def test_a_source_that_cannot_be_read_is_named_and_the_others_go_on(
    day: Path, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken/metadata.yaml"
    broken.parent.mkdir()
    broken.write_text("rosbag2_bagfile_information: 3")
    jobs = make_jobs(day, tmp_path / "run", model)
    bad = ShardJob(NamedSource("broken", broken.parent), jobs[0].run, CONFIG, *_rest(jobs[0]))
    summary = evaluate_many([bad, jobs[0]], here)
    assert list(summary["data"]["missing_sources"]) == ["broken"]
    assert summary["frames"]["answered"] == 4
    with pytest.raises(DataError, match="none of the sources could be evaluated; first broken"):
        evaluate_many([bad], here, resume=True)


def _rest(job: ShardJob) -> tuple[EngineChoice, str]:
    return job.engine, job.model_sha256


def test_another_model_is_no_answer(day: Path, model: Path, tmp_path: Path) -> None:
    job = make_jobs(day, tmp_path / "run", model)[0]
    other = ShardJob(job.source, job.run, CONFIG, job.engine, "f" * 64)
    assert "give every worker the same model" in run_shard(other).error


def test_the_verb_takes_several_sources(
    day: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--model", str(model), "-o", str(run), "--overlays", "0"]
    assert main(["evaluate", str(day / "bag"), str(day / "plain"), *options]) == 0
    assert "6 of 6 pictures answered" in capsys.readouterr().out
    assert main(["evaluate", str(day), *options, "--resume"]) == 2  # one picture is damaged
    assert "9 of 10 pictures answered" in capsys.readouterr().out
    assert main(["evaluate", str(day), "--live", "-o", str(tmp_path / "live")]) == 2
    assert "--live asks one node about one source" in capsys.readouterr().err


def test_no_cluster_at_the_address(
    day: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armseg_ros.evaluate.runners.CONNECT_S", 1.0)
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    jobs = make_jobs(day, tmp_path / "run", model)
    with pytest.raises(BackendError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(run_on_dask(jobs, "tcp://127.0.0.1:9", lambda: False))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own on this host."""
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    started = []

    def start(kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", CLUSTER.format(kind), *options]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process

    file = tmp_path / "scheduler.json"
    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
          "--scheduler-file", str(file))  # fmt: skip
    options = ("--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    workers = [start("worker", *options, "--host", "127.0.0.1") for _ in range(2)]
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline, "the scheduler did not start"
        time.sleep(0.1)
    yield json.loads(file.read_text())["address"], workers
    for process in reversed(started):
        process.kill()
        process.wait()


def test_a_cluster_gives_the_same_run_though_a_worker_is_killed(
    day: Path,
    model: Path,
    merged: Path,
    tmp_path: Path,
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, workers = cluster
    import distributed

    with distributed.Client(address, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
    jobs = make_jobs(day, tmp_path / "run", model)
    killed: list[int] = []

    def with_a_kill(waiting: Any, stop: Callable[[], bool]) -> Iterator[ShardResult]:
        for result in run_on_dask(waiting, address, stop):
            if not killed:  # the other shards are under way or wait
                os.kill(workers[0].pid, signal.SIGKILL)
                killed.append(workers[0].pid)
            yield result

    summary = evaluate_many(jobs, with_a_kill)
    assert killed
    assert summary["complete"] is True
    assert summary["accuracy"] == summary_of(merged)["accuracy"]
    assert json.dumps(rows_of(jobs[0].run, "samples")) == json.dumps(rows_of(merged, "samples"))


def test_a_fault_in_a_worker_is_that_of_its_shard_alone(
    day: Path, model: Path, tmp_path: Path
) -> None:
    jobs = make_jobs(day, tmp_path / "run", model)
    bad = FailingJob(NamedSource("bad", day / "bag"), jobs[0].run, CONFIG, *_rest(jobs[0]))
    results = {r.name: r.error for r in run_in_processes([bad, jobs[0]], 1, lambda: False)}
    assert results == {"bad": "its worker process failed: RuntimeError: out of luck", "bag": ""}


def test_a_shard_that_kills_its_worker_does_not_keep_the_others(
    day: Path, model: Path, tmp_path: Path
) -> None:
    jobs = make_jobs(day, tmp_path / "run", model)
    dying = DyingJob(NamedSource("dying", day / "bag"), jobs[0].run, CONFIG, *_rest(jobs[0]))
    results = {r.name: r for r in run_in_processes([jobs[0], dying], 1, lambda: False)}
    assert results["bag"].error == ""
    assert "worker process died 3 times" in results["dying"].error
