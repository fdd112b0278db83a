# SPDX-License-Identifier: Apache-2.0
"""The promises of a node that runs for weeks, held against what a soak has seen."""

from __future__ import annotations

from dataclasses import dataclass

from armseg_ros.soak.ledger import Ledger, NodeCounts
from armseg_ros.soak.memory import Memory

MOST_GROWTH_MIB = 1.0  # resident memory per 10 minutes, after the warm-up
FAILED = "failed in the network"  # as /diagnostics calls it; a healthy network never does


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak has seen.

    Attributes:
        ledger: The images.
        node: The node's own counts, once it was quiet.
        memory: Of the node's process.
        actions: How often each disturbance was made.
        minutes: How long it took.
    """

    ledger: Ledger
    node: NodeCounts
    memory: Memory
    actions: dict[str, int]
    minutes: float


def broken_promises(outcome: Outcome) -> list[str]:
    """Name what the node did not keep, in one sentence each; empty where all is well."""
    ledger, node, slope = outcome.ledger, outcome.node, outcome.memory.slope()
    out = list(ledger.wrong)
    if not ledger.answered:
        out.append("no image was answered, so nothing was tested")
    if ledger.lost:
        out.append(f"{ledger.lost} images were neither answered nor counted as dropped")
    if not node.balanced:
        out.append(
            f"the node received {node.received} images, but counts {node.answered} as answered "
            f"and {sum(node.dropped.values())} as dropped"
        )
    due = ledger.sent - ledger.exposed
    if not due <= node.received <= ledger.sent:
        out.append(
            f"of {ledger.sent} images at least {due} had to arrive, but the node counts "
            f"{node.received}"
        )
    if not ledger.answered <= node.answered <= ledger.answered + ledger.exposed:
        out.append(f"{ledger.answered} answers came, but the node counts {node.answered}")
    if node.dropped.get(FAILED):
        out.append(f"{node.dropped[FAILED]} images failed in the network")
    if slope is not None and slope >= MOST_GROWTH_MIB:
        out.append(
            f"memory grows by {slope:.2f} MiB in 10 minutes, {MOST_GROWTH_MIB:g} are allowed"
        )
    return out


def report(outcome: Outcome) -> str:
    """Write the table that a person reads at the end."""
    ledger, node, memory = outcome.ledger, outcome.node, outcome.memory
    slope = memory.slope()
    growth = "too short to tell" if slope is None else f"{slope:+.2f} MiB per 10 min"
    dropped = ", ".join(f"{count} {reason}" for reason, count in node.dropped.items() if count)
    actions = ", ".join(f"{count} {name}" for name, count in sorted(outcome.actions.items()))
    lines = {
        "minutes": f"{outcome.minutes:.1f}",
        "sent": f"{ledger.sent}, {ledger.healthy} of them healthy",
        "answered": str(ledger.answered),
        "dropped": dropped or "none",
        "exposed": f"{ledger.exposed} open while the node was off or not connected yet",
        "lost": str(ledger.lost),
        "node counts": f"{node.received} received, {node.answered} answered, "
        f"{sum(node.dropped.values())} dropped",
        "memory": f"{memory.first_mib:.0f} MiB at the start, {memory.last_mib:.0f} at the end, "
        f"{memory.peak_mib:.0f} at most, {growth}",
        "done to it": actions or "nothing",
    }
    return "\n".join(f"{name:12}{text}" for name, text in lines.items())
