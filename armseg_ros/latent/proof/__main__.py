# SPDX-License-Identifier: Apache-2.0
"""Render, train, evaluate, choose and measure; write the figures into a page.

Every step that is done already is kept, so an interrupted proof goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from armseg_ros.errors import ArmsegError
from armseg_ros.latent.pool import Pool
from armseg_ros.latent.proof import page
from armseg_ros.latent.proof.captured import Captured, captured
from armseg_ros.latent.proof.data import render
from armseg_ros.latent.proof.montage import write_montage
from armseg_ros.latent.proof.retrain import BASE, average_precision, evaluate_pool, train_base
from armseg_ros.latent.proof.trials import BUDGETS, LABELLED, SEEDS, SHARES, read_pool, trials
from armseg_ros.threads import use_one_blas_thread


def main() -> int:
    """Run the proof; 0 when it is done, 2 where something cannot be used."""
    use_one_blas_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m armseg_ros.latent.proof", description=__doc__)
    parser.add_argument("folder", type=Path, help="where everything goes, or goes on")
    parser.add_argument("--page", type=Path, help="page to write the figures into, with a drawing")
    args = parser.parse_args()
    try:
        text = prove(args.folder, args.page)
    except ArmsegError as error:
        print(f"proof: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(text)  # noqa: T201
    return 0


def prove(folder: Path, target: Path | None) -> str:
    """Do what is not done yet; return the figures as Markdown, and write them into a page."""
    folder.mkdir(parents=True, exist_ok=True)
    render(folder)
    pool = read_pool(evaluate_pool(folder, train_base(folder)))
    result = captured(pool)
    values: dict[str, list[float]] = defaultdict(list)
    values[BASE].append(average_precision(folder, BASE, (), 0))
    for trial in trials(pool):
        experiment = trial.name.rpartition("_")[0]
        values[experiment].append(
            average_precision(folder, trial.name, trial.sample_ids, trial.seed)
        )
    text = "\n\n".join((*_captured(pool, result), *_retraining(values), *_pruning(values)))
    if target is not None:
        page.write_figures(target, text)
        page.draw(result[0], target.parent / "images" / "curation.svg")
        pictures = folder / "pool" / "images"
        write_montage(pool, pictures, target.parent / "images" / "curation_picks.jpg")
    return text


def _captured(pool: Pool, result: tuple[dict[str, Captured], float, float]) -> list[str]:
    figures, rank_predicted, rank_unsure = result
    words = (
        f"{len(pool)} pictures, {LABELLED} of them labelled, mean true error "
        f"{pool.errors.mean():.3f}, seeds {', '.join(map(str, SEEDS))}. Rank correlation with the "
        f"true error: predicted error {rank_predicted:.2f}, uncertainty {rank_unsure:.2f}."
    )
    return ["### Error captured", words, page.captured_table(figures, len(pool) - LABELLED)]


def _retraining(values: Mapping[str, list[float]]) -> list[str]:
    rows = [(b, values[f"select_{b}_targeted"], values[f"select_{b}_random"]) for b in BUDGETS]
    table = page.paired_table(("budget", "targeted", "random"), rows)
    words = f"Object mask AP: mean (each seed). The base model has {values[BASE][0]:.3f}."
    return ["### Retraining", words, table]


def _pruning(values: Mapping[str, list[float]]) -> list[str]:
    rows = []
    for share in SHARES:
        name = f"prune_{share * 100:.0f}"
        rows.append((f"{share:.0%}", values[f"{name}_prune"], values[f"{name}_random"]))
    table = page.paired_table(("kept", "pruned", "random"), rows)
    everything = f"All pictures: {page.values_text(values['prune_100_all'])}."
    return ["### Pruning", "Object mask AP: mean (each seed).", table, everything]


if __name__ == "__main__":
    sys.exit(main())
