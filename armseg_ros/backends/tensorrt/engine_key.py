# SPDX-License-Identifier: Apache-2.0
"""What an engine depends on: where one of these differs, the engine must not be used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from armseg_ros.errors import BackendError

BUILDER_SCHEMA = 1  # raised whenever the same key would give another engine


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that decides whether an engine fits model and machine.

    Attributes:
        onnx_sha256: Hash of the ONNX file as it lies on disk.
        tensorrt: Full version of the library; plans of another one are refused by it.
        gpu: Name of the GPU.
        compute_capability: Such as ``8.7``.
        multiprocessors: Number of them; one name is sold with several.
        driver: CUDA version of the driver, 12060 for 12.6.
        precision: ``fp32``, ``fp16`` or ``int8``.
        network_hw: Height and width of the input in pixels.
        optimization_level: Of the builder, 0..5.
        builder_schema: Version of the way this package builds.
    """

    onnx_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    multiprocessors: int
    driver: int
    precision: str
    network_hw: tuple[int, int]
    optimization_level: int
    builder_schema: int = BUILDER_SCHEMA

    def mismatch(self, wanted: EngineKey) -> str | None:
        """Say in one clause how an engine of this key differs from what is wanted.

        Returns:
            ``was built by TensorRT 10.3.0 (here 10.16.1) on ...``; None where they are equal.
        """
        parts = []
        if self.onnx_sha256 != wanted.onnx_sha256:
            parts.append(
                f"from another ONNX file (sha256 {self.onnx_sha256[:12]}, now "
                f"{wanted.onnx_sha256[:12]})"
            )
        if self.tensorrt != wanted.tensorrt:
            parts.append(f"by TensorRT {self.tensorrt} (here {wanted.tensorrt})")
        if self.chip != wanted.chip:
            parts.append(f"on {self.chip} (here {wanted.chip})")
        if self.driver != wanted.driver:
            parts.append(
                f"under a driver for CUDA {cuda_version(self.driver)} "
                f"(here {cuda_version(wanted.driver)})"
            )
        if self.network_hw != wanted.network_hw:
            parts.append(f"for {size_text(self.network_hw)} (now {size_text(wanted.network_hw)})")
        if self.precision != wanted.precision:
            parts.append(f"in {self.precision} (now {wanted.precision})")
        if self.optimization_level != wanted.optimization_level:
            parts.append(
                f"at optimization level {self.optimization_level} (now {wanted.optimization_level})"
            )
        if self.builder_schema != wanted.builder_schema:
            parts.append("by another version of armseg_ros")
        return "was built " + " and ".join(parts) if parts else None

    @property
    def chip(self) -> str:
        """Name, architecture and size of the GPU in words."""
        architecture = self.compute_capability.replace(".", "")
        return f"{self.gpu} (sm_{architecture}, {self.multiprocessors} multiprocessors)"

    def to_json(self) -> dict[str, Any]:
        """Make a dict of plain values."""
        return {**asdict(self), "network_hw": list(self.network_hw)}

    @classmethod
    def from_json(cls, values: Any) -> EngineKey:
        """Read what ``to_json`` made.

        Raises:
            BackendError: A value is missing, unknown or of another type.
        """
        try:
            height, width = values["network_hw"]
            key = cls(**{**values, "network_hw": (int(height), int(width))})
        except (TypeError, KeyError, ValueError) as error:
            raise BackendError(f"the key of the engine cannot be read ({error})") from error
        for name, kind in _TYPES.items():
            if not isinstance(getattr(key, name), kind):
                raise BackendError(
                    f"the key of the engine has {name} = {getattr(key, name)!r}, "
                    f"expected {kind.__name__}"
                )
        return key


_TYPES: dict[str, type] = {
    "onnx_sha256": str,
    "tensorrt": str,
    "gpu": str,
    "compute_capability": str,
    "multiprocessors": int,
    "driver": int,
    "precision": str,
    "optimization_level": int,
    "builder_schema": int,
}


def cuda_version(number: int) -> str:
    """Write a version of cuda.h for people: 12060 is ``12.6``."""
    return f"{number // 1000}.{number % 1000 // 10}"


def size_text(hw: tuple[int, int]) -> str:
    """Write a size for people: height x width."""
    return f"{hw[0]}x{hw[1]} px"
