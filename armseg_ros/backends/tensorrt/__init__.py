# SPDX-License-Identifier: Apache-2.0
"""TensorRT on NVIDIA GPUs, from Jetson Orin to desktop cards.

Nothing here imports tensorrt or pycuda before a child process has seen that they work: TensorRT's
runtime ends the process that makes one without a driver.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from armseg_ros.backends.base import Backend
from armseg_ros.backends.tensorrt.environment import ADVICE, look
from armseg_ros.errors import BackendError


def open_tensorrt(model: Path, *, network_size: int = 640) -> Backend:
    """Load a model in TensorRT.

    Without the Python package this answers at once; else a child process looks at the driver,
    which takes about a quarter of a second where there is none.

    Args:
        model: An ONNX file.
        network_size: Side of the square input of a model with dynamic axes.

    Raises:
        BackendError: One sentence: why it cannot work here, or what is wrong with the model.
    """
    if importlib.util.find_spec("tensorrt") is None:
        raise BackendError(
            f"TensorRT cannot run here: the Python package tensorrt is not there; "
            f"{ADVICE['tensorrt']}"
        )
    environment = look()
    environment.require()
    raise BackendError(
        f"{model}: TensorRT {environment.tensorrt} works here, but this version of armseg_ros "
        f"cannot build an engine of {network_size} px for it yet; use another backend"
    )
