# SPDX-License-Identifier: Apache-2.0
"""Write the figures of a check into a Markdown page, between two marks."""

from __future__ import annotations

from typing import Any

from armseg_ros.errors import DataError
from armseg_ros.quality.sheet import LEVELS, number, spanned

START, END = "<!-- figures: armseg quality check --page -->", "<!-- end of figures -->"
KINDS = {"linear": "logistic", "linear on six": "logistic on six", "trees": "boosted trees"}
TITLES = (
    "", "positive", "prevalence", "AUROC", "average precision", "FPR at 95 % TPR",
    "recall at 0.05 / 0.1 / 0.5 false alarms a picture", "ECE", "Brier skill", "AURC", "AUGRC",
)  # fmt: skip


def refresh_page(text: str, sheet: dict[str, Any]) -> str:
    """Replace what stands between the marks of a page.

    Raises:
        DataError: The page lacks a mark.
    """
    if START not in text or END not in text.split(START, 1)[1]:
        raise DataError(
            f"the page lacks the marks {START} and {END}; put them where figures belong"
        )
    before, rest = text.split(START, 1)
    return before + START + "\n" + page_tables(sheet) + END + rest.split(END, 1)[1]


def page_tables(sheet: dict[str, Any]) -> str:
    """Write the sheet as Markdown: what it was measured on, figures, rivals, groups of features."""
    training = sheet["training"]
    fitted = [target for target in ("over", "under") if "unfitted" not in sheet[target]]
    measured = (
        f"Detector {sheet['detector'][:12]}. Fitted to {training.get('pictures')} pictures with "
        f"{training.get('instances')} objects, measured on {sheet['pictures']} others of "
        f"{sheet['scenes']} scenes. In brackets: 95 % intervals by drawing scenes."
    )
    lines = ["", measured, "", "| " + " | ".join(TITLES) + " |", "|---" * len(TITLES) + "|"]
    for target in fitted:
        for level, title in LEVELS.items():
            if level in sheet[target]:
                lines.append(_row(f"{target}, {title}", sheet[target][level]))
    lines += [
        "",
        *_rivals(sheet, fitted),
        "",
        *_groups(training, fitted),
        *chosen_models(training),
        "",
    ]
    return "\n".join(lines) + "\n"


def _row(title: str, block: dict[str, Any]) -> str:
    recalls = " / ".join(number(value) for value in block["recall_at_false_alarms"].values())
    cells = (
        title,
        str(block["positives"]),
        number(block["prevalence"]),
        spanned(block, "auroc"),
        spanned(block, "average_precision"),
        number(block["false_positive_rate_at_95"]),
        recalls,
        number(block["calibration_error"]),
        number(block["brier_skill"]),
        number(block["risk_coverage_area"]),
        number(block["generalized_risk_coverage_area"]),
    )
    return "| " + " | ".join(cells) + " |"


def _rivals(sheet: dict[str, Any], targets: list[str]) -> list[str]:
    """AUROC and average precision of simpler scores, with the interval of the lead in precision."""
    lines = [
        "| instances: AUROC, average precision (lead of the flags in precision) | "
        + " | ".join(targets)
        + " |",
        "|---" * (len(targets) + 1) + "|",
    ]
    blocks = [sheet[target]["instance"] for target in targets]
    own = [f"{number(b['auroc'])}, {number(b['average_precision'])}" for b in blocks]
    lines.append("| the flags | " + " | ".join(own) + " |")
    names = dict.fromkeys(name for block in blocks for name in block["compared"])
    for name in names:
        cells = [_rival(block["compared"].get(name)) for block in blocks]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _rival(rival: dict[str, Any] | None) -> str:
    if rival is None:
        return "-"
    lead = rival["lead_interval"]
    ahead = f" ({lead[0]:+.3f} to {lead[1]:+.3f})" if lead else ""
    return f"{number(rival['auroc'])}, {number(rival['average_precision'])}{ahead}"


def chosen_models(training: dict[str, Any]) -> list[str]:
    """Say which kind of model ``fit`` took for pairs and instances, and how the kinds compare."""
    lines = [
        "| average precision on held-out scenes of the fit | taken | "
        + " | ".join(KINDS.values())
        + " |",
        "|---" * (len(KINDS) + 2) + "|",
    ]
    for target in ("pair", "over", "under"):
        if "held_out" not in training.get(target, {}):
            continue
        tried = training[target]["held_out"]
        cells = [number(tried.get(kind, {}).get("average_precision")) for kind in KINDS]
        taken = KINDS[training[target]["chosen"]]
        lines.append(f"| {target} | {taken} | " + " | ".join(cells) + " |")
    return ["", *lines] if len(lines) > 2 else []


def _groups(training: dict[str, Any], targets: list[str]) -> list[str]:
    """AUROC on held-out scenes of the fit, with all features and without each group."""
    known = [t for t in targets if training.get(t, {}).get("held_out_without")]
    if not known:
        return []
    lines = [
        "| AUROC on held-out scenes of the fit, logistic | " + " | ".join(known) + " |",
        "|---" * (len(known) + 1) + "|",
    ]
    full = [number(training[t]["held_out"]["linear"]["auroc"]) for t in known]
    lines.append("| all features | " + " | ".join(full) + " |")
    for name in training[known[0]]["held_out_without"]:
        cells = [number(training[t]["held_out_without"].get(name)) for t in known]
        lines.append(f"| without {name} | " + " | ".join(cells) + " |")
    return lines
