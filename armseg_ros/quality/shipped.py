# SPDX-License-Identifier: Apache-2.0
"""The flags that were fitted to the detector that comes with the package."""

from __future__ import annotations

from pathlib import Path

from armseg_ros.quality.model import QualityModel, load_quality_model


def default_flags_path() -> Path:
    """Path of the shipped quality model; docs/quality.md says how good it is."""
    return Path(__file__).parent / "yolov5s_seg_totes.json"


def open_flags(path: Path | str | None = None) -> QualityModel:
    """Load a quality model; none given, or an empty path, takes the shipped one.

    Raises:
        DataError: The file is missing, damaged or of another version.
    """
    return load_quality_model(Path(path).expanduser() if path else default_flags_path())
