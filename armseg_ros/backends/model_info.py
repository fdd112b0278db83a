# SPDX-License-Identifier: Apache-2.0
"""What is known of a model file, whichever engine runs it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armseg_ros.errors import BackendError, shown

LARGEST_SIDE = 8192  # px; beyond it the tensor of one picture takes gigabytes
LONGEST_NAMES = 1_000_000  # letters; a thousand classes take twenty thousand


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model file.

    Attributes:
        path: The file.
        sha256: Hash of the file, 64 hexadecimal digits.
        network_hw: Height and width of the network input in pixels.
        class_names: Names by class id; empty where the model does not say.
        precision: What its metadata says of its weights, such as ``fp16`` or ``int8``; empty
            where it does not.
    """

    path: Path
    sha256: str
    network_hw: tuple[int, int]
    class_names: tuple[str, ...]
    precision: str = ""

    @property
    def model_id(self) -> str:
        """File name without ending, and the start of its hash: ``name@0123456789ab``."""
        return f"{self.path.stem}@{self.sha256[:12]}"

    @property
    def class_count(self) -> int | None:
        """Number of class names; None where the model does not say."""
        return len(self.class_names) or None


def file_sha256(path: Path) -> str:
    """Hash a file; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_int8(model: ModelInfo, precision: str) -> None:
    """Hold a precision against the file: a quantised one cannot compute in float, nor the reverse.

    Raises:
        BackendError: They contradict each other.
    """
    if precision == "int8" and model.precision != "int8":
        raise BackendError(
            f"{model.path}: precision int8 needs a quantised model, and its metadata says "
            f"{model.precision or 'nothing'}; make one with armseg quantize"
        )
    if precision not in ("auto", "int8") and model.precision == "int8":
        raise BackendError(
            f"{model.path}: is quantised to int8, so it cannot run in {precision}; "
            "take the file that it was made from"
        )


def read_network_hw(
    shape: Sequence[int | str | None], network_size: int, model: Path
) -> tuple[int, int]:
    """Read the input size; symbolic height and width become ``network_size``.

    Args:
        shape: Of the input; an axis without a fixed size is a name or None.
        network_size: Side of the square input of a model with dynamic axes, in pixels.
        model: The file, for messages.

    Raises:
        BackendError: The input is not one picture of three channels and whole strides.
    """
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise BackendError(f"{model}: input has shape {shape}, expected [1, 3, height, width]")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise BackendError(f"{model}: input has batch {shape[0]}, export it with batch 1")
    height, width = (side if isinstance(side, int) else network_size for side in shape[2:])
    if height % 32 or width % 32 or min(height, width) < 32:
        raise BackendError(f"{model}: input is {height}x{width}, sides must be multiples of 32")
    if max(height, width) > LARGEST_SIDE:
        raise BackendError(
            f"{model}: input is {height}x{width}, but no side may be above {LARGEST_SIDE} px"
        )
    return height, width


def read_class_names(text: str | None, model: Path) -> tuple[str, ...]:
    """Read ``names`` of the metadata: the Python text of a dict or list of names.

    Args:
        text: The text; None, where the metadata has none, gives no names.
        model: The file, for messages.

    Raises:
        BackendError: It is something else.
    """
    if text is None:
        return ()
    if len(text) > LONGEST_NAMES:
        raise BackendError(f"{model}: metadata 'names' has {len(text)} letters")
    try:
        names = ast.literal_eval(text)
        if isinstance(names, dict):
            names = [names[index] for index in range(len(names))]
        return tuple(str(name) for name in names)
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise BackendError(
            f"{model}: metadata 'names' is {shown(text)}, expected a list of class names"
        ) from error
