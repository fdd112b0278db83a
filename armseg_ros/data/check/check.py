# SPDX-License-Identifier: Apache-2.0
"""Go through data sets and list what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from armseg_ros.data.check.finding import RULES, Finding
from armseg_ros.data.check.fingerprint import NEAR_BITS, Fingerprint, fingerprint, first_alike
from armseg_ros.data.check.labels import check_labels
from armseg_ros.data.check.suspects import check_suspects
from armseg_ros.data.coco import splits_in
from armseg_ros.data.folder import CocoItem
from armseg_ros.data.joined import find_sources
from armseg_ros.data.source import Item, Source, open_source
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.evaluate.read_run import Run


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a check.

    Attributes:
        pictures: How many were looked at, by source.
        findings: What was found, in the order of ``RULES``; surest first within a rule.
    """

    pictures: dict[str, int]
    findings: tuple[Finding, ...]


def check(paths: Sequence[Path], runs: Sequence[Run] = (), ignore: Sequence[str] = ()) -> Report:
    """Check sources, each by itself and against each other.

    Args:
        paths: COCO folders (with all of their splits), COCO files, bags, or folders of pictures.
        runs: Evaluations of these pictures, to find suspect labels with.
        ignore: Rules to leave out.

    Raises:
        ConfigError: ``ignore`` names no rule.
        DataError: A source cannot be opened.
    """
    unknown = sorted(set(ignore) - set(RULES))
    if unknown:
        raise ConfigError(f"no rule {', '.join(unknown)}; known are {', '.join(RULES)}")
    sources = _open(paths)
    findings: list[Finding] = []
    seen: list[tuple[str, str]] = []
    prints: list[Fingerprint] = []
    total = sum(len(source) for source in sources.values())
    with tqdm(total=total, desc="checking", unit="picture", disable=None) as progress:
        for name, source in sources.items():
            for item in source:
                findings += _check_item(item, name, seen, prints)
                progress.update()
    findings += _duplicates(seen, prints)
    for run in runs:
        meant = _evaluated(run, sources)
        source_of = {sample_id: name for name, sample_id in seen if name in meant}
        findings += check_suspects(run, source_of)
    order = {rule: place for place, rule in enumerate(RULES)}
    kept = [finding for finding in findings if finding.rule not in ignore]
    kept.sort(key=lambda f: (order[f.rule], -f.score, f.source, f.sample_id))
    return Report({name: len(source) for name, source in sources.items()}, tuple(kept))


def _open(paths: Sequence[Path]) -> dict[str, Source]:
    """Open everything, each once; names are splits, or paths where that does not do."""
    found = [
        (named.path, open_source(named.path, split))
        for named in find_sources(paths)
        for split in splits_in(named.path) or (None,)
    ]
    names = [source.split or path.name for path, source in found]
    if len(set(names)) < len(names):
        names = [f"{path}:{s.split}" if s.split else str(path) for path, s in found]
    return {name: source for name, (_, source) in zip(names, found, strict=True)}


def _evaluated(run: Run, sources: dict[str, Source]) -> set[str]:
    """Name the sources that a run says it was made from, for names of pictures may repeat.

    All of them where it is none of these: data may have been moved.
    """
    where, split = run.config.get("source"), run.config.get("split")
    own = {
        name
        for name, source in sources.items()
        if isinstance(where, str)
        and source.path.resolve() == Path(where).resolve()
        and split in (None, source.split)
    }
    return own or set(sources)


def _check_item(
    item: Item, source: str, seen: list[tuple[str, str]], prints: list[Fingerprint]
) -> Iterator[Finding]:
    """Check one picture by itself, and remember what it looks like."""
    hw = (item.sample.height, item.sample.width) if isinstance(item, CocoItem) else None
    try:
        made = fingerprint(item, hw)
    except DataError as error:
        yield Finding("unreadable", source, item.sample_id, str(error))
        if hw is None:  # only the picture itself could say how large it is
            return
    else:
        seen.append((source, item.sample_id))
        prints.append(made)
    try:
        truth = item.truth()
        if truth is not None:
            yield from check_labels(truth, hw or item.frame().hw, source, item.sample_id)
    except DataError as error:
        yield Finding("damaged-label", source, item.sample_id, str(error))


def _duplicates(
    seen: Sequence[tuple[str, str]], prints: Sequence[Fingerprint]
) -> Iterator[Finding]:
    for index, earlier, bits in first_alike(prints, [source for source, _ in seen]):
        source, sample_id = seen[index]
        other, other_id = seen[earlier]
        rule = "duplicate" if source == other else "leak"
        words = "the same bytes" if bits < 0 else f"{bits} of 256 bits differ"
        score = 1.0 if bits < 0 else 1 - bits / (2 * NEAR_BITS)
        yield Finding(rule, source, sample_id, words, f"{other}: {other_id}", score=score)
