# SPDX-License-Identifier: Apache-2.0
"""What a check finds, and the rules there are."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"

RULES = {
    "unreadable": (ERROR, "the picture is missing, damaged or of another size than its record"),
    "damaged-label": (ERROR, "an annotation of the picture cannot be decoded"),
    "leak": (ERROR, "the same or nearly the same picture is in two splits"),
    "duplicate": (WARNING, "the same or nearly the same picture is twice in one split"),
    "missing-tote": (WARNING, "a labelled picture without a Tote"),
    "tiny-tote": (WARNING, "a Tote that covers less than a tenth of the picture"),
    "tiny-object": (WARNING, "an Object whose box covers less than 0.0003 of the picture"),
    "empty-mask": (ERROR, "an annotation without a single pixel"),
    "repeated-label": (ERROR, "two annotations of one class whose masks have an IoU of 0.9"),
    "overlooked-object": (WARNING, "a confident prediction where no annotation is (with a run)"),
    "wrong-class": (WARNING, "a confident prediction calls the annotation otherwise (with run)"),
    "bad-outline": (WARNING, "a confident prediction nearly in its box is of another shape (run)"),
}  # fmt: skip
"""Severity and meaning by name, in the order that findings are listed in."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes:
        rule: One of ``RULES``.
        source: Split, or name of the bag or folder.
        sample_id: The picture.
        detail: What is wrong, in words.
        other: The other picture, as ``source: sample_id``; empty where there is none.
        annotation: Place of the annotation among those of the picture, 0-based; None where the
            picture as a whole is meant.
        score: How sure it is, 0..1; 1 for facts.
    """

    rule: str
    source: str
    sample_id: str
    detail: str
    other: str = ""
    annotation: int | None = None
    score: float = 1.0

    @property
    def severity(self) -> str:
        """``error`` or ``warning``."""
        return RULES[self.rule][0]
