# SPDX-License-Identifier: Apache-2.0
"""Split, merge and flag figures as lines for a terminal."""

from __future__ import annotations

from typing import Any

from armseg_ros.quality.sheet import number

_COUNTS = ("correct", "over", "merged", "missed", "under", "noise")
_TITLES = ("correct", "split", "merged", "missed", "merging", "noise")


def split_lines(splits: dict[str, Any] | None) -> list[str]:
    """Write both rules, and the seed's figures where they were asked for; nothing without truth."""
    if splits is None:
        return []
    lines = ["", f"{'objects':12}" + "".join(f"{title:>9}" for title in _TITLES)]
    for rule in ("seed", "hoover"):
        counts = splits[rule]
        lines.append(f"{rule + ' rule':12}" + "".join(f"{counts[name]:>9}" for name in _COUNTS))
        lines.append(f"{'':12}" + "".join(f"{_share(counts[f'{n}_rate']):>9}" for n in _COUNTS))
    lines.append(
        "(correct, split, merged, missed: of the ground truth; merging, noise: predictions)"
    )
    if splits["seed_compat"] is not None:
        lines += ["", f"{'as the seed reports':40}{'seed':>9}{'ours':>9}"]
        for name, figure in splits["seed_compat"].items():
            ours = splits["seed_figures"][name]["mean"]
            lines.append(f"{name:40}{number(figure['mean']):>9}{number(ours):>9}")
    return lines


def flag_lines(flags: dict[str, Any]) -> list[str]:
    """Write pictures by verdict, and how well the flags rank where ground truth tells."""
    said = ", ".join(f"{count} {name}" for name, count in flags["verdicts"].items() if count)
    lines = ["", f"flags: {said or 'nothing to judge'}"]
    lines += [f"  {count} x {reason}" for reason, count in list(flags["reasons"].items())[:3]]
    sheet = flags["sheet"]
    if sheet is None:
        return lines
    for target in ("over", "under"):
        block = sheet[target].get("instance")
        if block is None:
            lines.append(f"  {target}: not fitted, {sheet[target]['unfitted']}")
            continue
        lines.append(
            f"  {target}: AUROC {number(block['auroc'])}, average precision "
            f"{number(block['average_precision'])} at {number(block['prevalence'])} positive"
        )
    if sheet["scenes_seen_in_fitting"]:
        lines.append("  the flags were fitted to some of these pictures, so the figures flatter")
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
