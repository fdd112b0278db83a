# SPDX-License-Identifier: Apache-2.0
"""Every engine and precision that works here, in one run, on one thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armseg_ros.backends.base import Backend

ENGINES = (
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)


def print_engines(model: Path, int8: Path, repeats: int, rest_ms: float) -> None:
    """Measure and print a table; the first engine is what the ratios are relative to.

    Args:
        model: The float model.
        int8: Its quantised version.
        repeats: Runs of each.
        rest_ms: CPU time of everything but the network, for the ratio of the whole image.
    """
    from armseg_ros.benchmark import measure_networks

    backends, refused = _open_all(model, int8)
    costs = measure_networks(backends, repeats)
    print(f"\n{'network on one thread':40}{'median ms':>10}{'min ms':>10}{'ratio':>8}{'image':>8}")
    reference = costs[0].median_ms
    for backend, cost in zip(backends, costs, strict=True):
        ratio = cost.median_ms / reference
        image = (cost.median_ms + rest_ms) / (reference + rest_ms)
        row = f"{backend.name:40}{cost.median_ms:10.2f}{cost.minimum_ms:10.2f}"
        print(f"{row}{ratio:8.2f}{image:8.2f}")
    print("\n".join(refused), end="\n" if refused else "")


def _open_all(model: Path, int8: Path) -> tuple[list[Backend], list[str]]:
    """Load what can be loaded; a sentence for each of the others."""
    from armseg_ros.backends.base import open_backend
    from armseg_ros.errors import BackendError

    backends, refused = [], []
    for engine, precision in ENGINES:
        path = int8 if precision == "int8" else model
        try:
            backends.append(open_backend(path, engine, 1, precision=precision))
        except BackendError as error:
            refused.append(f"not {engine} in {precision}: {error}")
    return backends, refused
