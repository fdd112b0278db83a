# SPDX-License-Identifier: Apache-2.0
"""The flags that were fitted to the detector that comes with the package."""

from __future__ import annotations

from pathlib import Path


def default_flags_path() -> Path:
    """Path of the shipped quality model; docs/quality.md says how good it is."""
    return Path(__file__).parent / "yolov5s_seg_totes.json"
