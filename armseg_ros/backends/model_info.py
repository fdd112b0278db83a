# SPDX-License-Identifier: Apache-2.0
"""What is known of a model file, whichever engine runs it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model file.

    Attributes:
        path: The file.
        sha256: Hash of the file, 64 hexadecimal digits.
        network_hw: Height and width of the network input in pixels.
        class_names: Names by class id; empty where the model does not say.
    """

    path: Path
    sha256: str
    network_hw: tuple[int, int]
    class_names: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """File name without ending, and the start of its hash: ``name@0123456789ab``."""
        return f"{self.path.stem}@{self.sha256[:12]}"


def file_sha256(path: Path) -> str:
    """Hash a file; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
