# SPDX-License-Identifier: Apache-2.0
"""Two runs on the same pictures: what changed, how sure that is, which pictures won and lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from armseg_ros.errors import DataError
from armseg_ros.evaluate.gate import Delta
from armseg_ros.evaluate.measures import MEASURES, MOST_DRAWS, Measured, measure
from armseg_ros.evaluate.read_run import Run
from armseg_ros.quality.figures import interval

LATENCIES = {"latency_p50_ms": 50.0, "latency_p99_ms": 99.0}
FIGURES = (*MEASURES, *LATENCIES)
_SETTINGS = ("score_threshold", "iou_threshold", "max_detections", "operating_threshold",
             "operating_iou_threshold")  # fmt: skip
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """One picture in two runs; errors are 1 - 2 TP / (2 TP + FP + missed), 0..1."""

    sample_id: str
    error_a: float
    error_b: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        deltas: By name, every figure of ``FIGURES``.
        pictures: Pictures that both runs answered; all figures are on these.
        labelled: Of these, the labelled ones.
        draws: Bootstrap draws behind the intervals.
        won: Labelled pictures with a smaller error in the second run.
        lost: Those with a larger one.
        changes: The pictures that changed, worst loss first.
        remarks: Sentences on what else differs between the runs.
    """

    deltas: dict[str, Delta]
    pictures: int
    labelled: int
    draws: int
    won: int
    lost: int
    changes: tuple[Change, ...]
    remarks: tuple[str, ...]


def compare(a: Run, b: Run, *, most_draws: int = MOST_DRAWS, seed: int = 0) -> Comparison:
    """Compare two runs on the pictures that both answered.

    Args:
        a: The first run, such as the model in use.
        b: The second one, such as its successor.
        most_draws: Bootstrap draws; fewer where there are very many predictions.
        seed: Of the bootstrap.

    Raises:
        DataError: No picture was answered by both, or their ground truths differ.
    """
    answered = [_answered(run) for run in (a, b)]
    shared = [name for name in answered[0] if name in answered[1]]
    if not shared:
        raise DataError(
            f"{a.folder} and {b.folder} have no answered picture in common, so there is nothing "
            "to compare; evaluate both on the same source"
        )
    labelled = [name for name in shared if answered[0][name] and answered[1][name]]
    measured = [measure(run, labelled) for run in (a, b)]
    _require_same_truth(a, b, measured)
    times = [_times(run, shared) for run in (a, b)]
    draws = min(most_draws, *(part.draws() for part in measured))
    errors = [part.errors() for part in measured]
    return Comparison(
        deltas=_deltas(measured, times, draws, seed),
        pictures=len(shared),
        labelled=len(labelled),
        draws=draws,
        won=int((errors[1] < errors[0]).sum()),
        lost=int((errors[1] > errors[0]).sum()),
        changes=_changes(labelled, errors[0], errors[1]),
        remarks=tuple(_remarks(a, b, answered, shared)),
    )


def _answered(run: Run) -> dict[str, bool]:
    """Answered pictures in order, and whether each is labelled."""
    rows = run.samples.filter(pc.equal(run.samples["status"], "answered"))
    return dict(zip(rows["sample_id"].to_pylist(), rows["labelled"].to_pylist(), strict=True))


def _times(run: Run, sample_ids: Sequence[str]) -> FloatArray:
    """(S,) total time of each picture in ms; NaN where it was not measured."""
    row = {name: index for index, name in enumerate(run.samples["sample_id"].to_pylist())}
    rows = run.samples.take(pa.array([row[name] for name in sample_ids], pa.int64()))
    filled = pc.fill_null(rows["total_ms"], float("nan"))
    return np.asarray(filled.to_numpy(), np.float64)


def _require_same_truth(a: Run, b: Run, measured: Sequence[Measured]) -> None:
    names = measured[0].sample_ids
    counts = [part.sums["objects"] for part in measured]
    pixels = [_truth_pixels(run, names) for run in (a, b)]
    unlike = np.flatnonzero((counts[0] != counts[1]) | (pixels[0] != pixels[1]))
    if len(unlike):
        first = int(unlike[0])
        found = [f"{counts[k][first]:.0f} objects ({pixels[k][first]:.0f} px)" for k in range(2)]
        raise DataError(
            f"the ground truth of {len(unlike)} pictures differs: {names[first]} has {found[0]} in "
            f"{a.folder} and {found[1]} in {b.folder}; evaluate both on the same labels"
        )


def _truth_pixels(run: Run, sample_ids: Sequence[str]) -> FloatArray:
    """(S,) pixels of all ground truths of each picture, which tell labels that were redrawn."""
    table = run.read_instances(["sample_id", "area"], where=pc.field("kind") == "truth")
    places = pc.index_in(table["sample_id"], value_set=pa.array(sample_ids, pa.string()))
    known = pc.is_valid(places)
    rows, areas = places.filter(known).to_numpy(), table["area"].filter(known).to_numpy()
    return np.bincount(rows, areas, minlength=len(sample_ids)).astype(np.float64)


def _deltas(
    measured: Sequence[Measured], times: Sequence[FloatArray], draws: int, seed: int
) -> dict[str, Delta]:
    whole = [part.values() | _latency(ms) for part, ms in zip(measured, times, strict=True)]
    drawn: dict[str, list[float | None]] = {name: [] for name in FIGURES}
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        for name, change in _draw(measured, times, rng).items():
            drawn[name].append(change)
    labelled, answered = len(measured[0].sample_ids), len(times[0])
    pictures = dict.fromkeys(MEASURES, labelled) | dict.fromkeys(LATENCIES, answered)
    return {
        name: Delta(
            name,
            known(whole[0][name]),
            known(whole[1][name]),
            known(whole[1][name] - whole[0][name]),
            interval(drawn[name]) if pictures[name] > 1 else None,  # draws of one are all alike
        )
        for name in FIGURES
    }


def _draw(
    measured: Sequence[Measured], times: Sequence[FloatArray], rng: np.random.Generator
) -> dict[str, float | None]:
    """Draw pictures with replacement, the same ones of both runs."""
    size = len(measured[0].sample_ids)
    weights = np.bincount(rng.integers(0, max(1, size), size), minlength=size)
    rows = rng.integers(0, len(times[0]), len(times[0]))
    a, b = (
        part.values(weights) | _latency(ms[rows]) for part, ms in zip(measured, times, strict=True)
    )
    return {name: known(b[name] - a[name]) for name in FIGURES}


def _latency(times: FloatArray) -> dict[str, float]:
    ran = times[~np.isnan(times)]
    return {
        name: float(np.percentile(ran, share)) if len(ran) else float("nan")
        for name, share in LATENCIES.items()
    }


def known(value: float) -> float | None:
    """Turn NaN, which stands for something not defined, into None."""
    return None if np.isnan(value) else float(value)


def _changes(names: Sequence[str], a: FloatArray, b: FloatArray) -> tuple[Change, ...]:
    changed = np.flatnonzero(a != b)
    order = changed[np.argsort(a[changed] - b[changed], kind="stable")]
    return tuple(Change(names[k], float(a[k]), float(b[k])) for k in order)


def _remarks(
    a: Run, b: Run, answered: Sequence[dict[str, bool]], shared: Sequence[str]
) -> list[str]:
    out = [run.missing for run in (a, b) if run.missing]
    for run, names in zip((a, b), answered, strict=True):
        if len(names) > len(shared):
            out.append(f"{len(names) - len(shared)} pictures are answered in {run.folder} only")
    engines = [run.summary["model"]["backend"] for run in (a, b)]
    if engines[0] != engines[1]:
        out.append(f"engine differs: {engines[0]} and {engines[1]}")
    for name in _SETTINGS:
        first, second = (run.summary["settings"].get(name) for run in (a, b))
        if first != second:
            out.append(f"{name} differs: {first} and {second}")
    return out
