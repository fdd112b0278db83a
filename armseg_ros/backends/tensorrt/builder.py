# SPDX-License-Identifier: Apache-2.0
"""ONNX to a serialised engine, for every TensorRT from 10.3 to 11.

Flags are looked up by name, since their numbers differ between versions. The network is strongly
typed and of fixed size, so precision flags, calibrators and optimisation profiles, which TensorRT
11 has lost or changed, are not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from armseg_ros.backends.tensorrt.build_progress import BuildProgress
from armseg_ros.backends.tensorrt.messages import LastMessages, make_logger
from armseg_ros.errors import BackendError

OUTPUT_RANKS = [3, 4]  # rows and prototypes; features of rank 2 may come with them


@dataclass(frozen=True, slots=True, eq=False)
class BuildRequest:
    """What to build.

    Attributes:
        onnx: The serialised model, of fixed size and in its final types.
        network_hw: Height and width of the input in pixels, for the check of the parsed network.
        workspace_bytes: Most scratch memory that a layer may take.
        optimization_level: 0 (quick build) to 5 (quick engine).
        timing_cache: What an earlier build measured; empty starts afresh.
    """

    onnx: bytes
    network_hw: tuple[int, int]
    workspace_bytes: int
    optimization_level: int = 3
    timing_cache: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A serialised engine, and the timing cache (empty where the builder has none)."""

    plan: bytes
    timing_cache: bytes


def build(
    api: Any,
    request: BuildRequest,
    report: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Built:
    """Build an engine; minutes on a Jetson, in which Python threads go on.

    Args:
        api: The module ``tensorrt``.
        request: What to build.
        report: Called with the fraction that is done.
        cancelled: Asked after each step of the builder.

    Raises:
        BackendError: The model does not parse, the build failed or was cancelled.
    """
    messages = LastMessages()
    logger = make_logger(api, messages)
    builder = api.Builder(logger)
    network = builder.create_network(_network_flags(api))
    parser = api.OnnxParser(network, logger)
    if not parser.parse(request.onnx):
        raise BackendError(f"TensorRT cannot read this model: {_parser_errors(parser, messages)}")
    _check_network(network, request.network_hw)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    config.builder_optimization_level = request.optimization_level
    config.progress_monitor = _make_monitor(api, report, cancelled)
    cache = _use_timing_cache(config, request.timing_cache)
    plan = builder.build_serialized_network(network, config)
    if cancelled():
        raise BackendError("the build was cancelled")
    if plan is None:
        raise BackendError(f"TensorRT could not build an engine: {messages.reason()}")
    return Built(bytes(plan), b"" if cache is None else bytes(cache.serialize()))


def _network_flags(api: Any) -> int:
    flag = getattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _use_timing_cache(config: Any, content: bytes) -> Any:
    """Give the builder what an earlier build measured; a stale cache gives way to an empty one."""
    for candidate in (content, b"") if content else (b"",):
        cache = config.create_timing_cache(candidate)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _parser_errors(parser: Any, messages: LastMessages) -> str:
    errors = [" ".join(str(parser.get_error(i)).split()) for i in range(parser.num_errors)]
    return "; ".join(error[:300] for error in errors[:3]) or messages.reason()


def _check_network(network: Any, network_hw: tuple[int, int]) -> None:
    """Refuse a network that cannot be a segmenter before minutes are spent on it."""
    inputs = [tuple(network.get_input(i).shape) for i in range(network.num_inputs)]
    outputs = [tuple(network.get_output(i).shape) for i in range(network.num_outputs)]
    ranks = sorted(len(shape) for shape in outputs if len(shape) != 2)
    if inputs != [(1, 3, *network_hw)] or ranks != OUTPUT_RANKS:
        raise BackendError(
            f"the network has inputs {inputs} and outputs {outputs}, expected one image of "
            f"{(1, 3, *network_hw)}, rows of 3 dimensions and prototypes of 4"
        )
    if any(side < 0 for shape in outputs for side in shape):
        raise BackendError(
            f"the outputs {outputs} depend on the picture, as with suppression inside the network; "
            "export it without NMS"
        )


def _make_monitor(api: Any, report: Callable[[float], None], cancelled: Callable[[], bool]) -> Any:
    progress = BuildProgress()

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(phase_name, step)
            report(progress.fraction)
            return not cancelled()

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
