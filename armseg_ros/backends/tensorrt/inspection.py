# SPDX-License-Identifier: Apache-2.0
"""What an engine file says of itself, and whether this machine can use it."""

from __future__ import annotations

from dataclasses import replace

from armseg_ros.backends.tensorrt.engine_file import EngineFile
from armseg_ros.backends.tensorrt.engine_key import cuda_version, size_text
from armseg_ros.backends.tensorrt.environment import Environment

KINDS = {
    "armseg": "engine of armseg engine build",
    "ultralytics": "engine of Ultralytics, metadata in front",
    "bare": "bare plan, as of trtexec",
}


def describe(engine: EngineFile, environment: Environment) -> list[tuple[str, str]]:
    """List facts as name and text, the verdict about this machine last."""
    facts = [("kind", KINDS[engine.kind]), ("plan", f"{len(engine.plan) / 1e6:.1f} MB")]
    if engine.class_names:
        facts.append(("classes", ", ".join(engine.class_names)))
    key = engine.key
    if key is not None:
        facts += [
            ("model sha256", key.onnx_sha256),
            ("TensorRT", key.tensorrt),
            ("GPU", key.chip),
            ("driver", f"CUDA {cuda_version(key.driver)}"),
            ("precision", key.precision),
            ("input", size_text(key.network_hw) + (" (open in the model)" * engine.dynamic)),
            ("optimization level", str(key.optimization_level)),
            ("self-test", f"{len(engine.self_test.get('rows', ()))} rows of ONNX Runtime"),
        ]
    return [*facts, ("on this machine", fit(engine, environment))]


def fit(engine: EngineFile, environment: Environment) -> str:
    """Say whether an engine fits this machine, whatever its model is."""
    if engine.key is None:
        return "unknown: the file does not say what it was built for"
    if environment.device is None or environment.tensorrt is None:
        reason = environment.problems.get("driver") or environment.problems.get("tensorrt")
        return f"cannot be used: {reason or 'there is no GPU'}"
    major, minor = environment.device.compute_capability
    here = replace(
        engine.key,
        tensorrt=environment.tensorrt,
        gpu=environment.device.name,
        compute_capability=f"{major}.{minor}",
        multiprocessors=environment.device.multiprocessors,
        driver=environment.driver or 0,
    )
    mismatch = engine.key.mismatch(here)
    return "fits" if mismatch is None else f"does not fit: it {mismatch}"
