# SPDX-License-Identifier: Apache-2.0
"""Measure what the node adds to the network: a real segmenter process, images over DDS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armseg_ros.benchmark import Scene
from armseg_ros.errors import ConfigError
from armseg_ros.ros.live_client import LiveSegmenterClient
from armseg_ros.ros.segmenter_process import start_segmenter_process
from armseg_ros.types import Float32Array

WARM_UP = 5  # frames that set up shared memory and are not counted
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class NodeCost:
    """Milliseconds of each frame, one element a frame.

    Attributes:
        round_trip: From publishing the image to the arrival of its answer.
        network: Of these, the network's.
        node: Of these, the node's own, from the arrival of the image to the answer.
        transport: Of these, the way of image and answer, and the publishing of the latter.
        seconds: From the first frame to the last answer.
    """

    round_trip: Float32Array
    network: Float32Array
    node: Float32Array
    transport: Float32Array
    seconds: float

    @property
    def added(self) -> Float32Array:
        """All but the network."""
        return self.round_trip - self.network

    @property
    def rate_hz(self) -> float:
        """Frames a second that were really sent."""
        return len(self.round_trip) / self.seconds


def write_constant_network(scene: Scene, path: Path) -> None:
    """Write a network that gives the answer of a made-up scene to every picture.

    Raises:
        ConfigError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise ConfigError(
            "a made-up network needs onnx: pip install onnx, or name a network with --model"
        ) from error
    outputs = {"output0": scene.raw.candidates[None], "output1": scene.raw.prototypes[None]}
    height, width = scene.letterbox.network_hw
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
            for name, value in outputs.items()
        ],
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"names": "['Object', 'Tote']"})
    onnx.save(model, path)


def measure_node(scene: Scene, model: Path, frames: int, rate_hz: float) -> NodeCost:
    """Send one picture again and again, each once the one before is answered.

    Args:
        scene: Its picture is sent, as bgr8.
        model: For the node.
        frames: To count, 1 or more.
        rate_hz: Never more in a second.

    Raises:
        ArmsegError: The node does not start, or does not answer.
    """
    rows = []
    parameters = {"model": str(model), "backend": "onnxruntime", "threads": 1}
    with (
        start_segmenter_process(parameters) as process,
        LiveSegmenterClient(check=process.check_running) as client,
    ):
        client.wait_for_segmenter(TIMEOUT_S)
        for _ in range(WARM_UP):
            client.ask_image(scene.image, TIMEOUT_S)
        start = time.perf_counter()
        for number in range(frames):
            time.sleep(max(0.0, start + number / rate_hz - time.perf_counter()))
            answer = client.ask_image(scene.image, TIMEOUT_S)
            times = answer.times
            own, rest = times.total - times.inference, answer.round_trip_ms - times.total
            rows.append((answer.round_trip_ms, times.inference, own, rest))
        seconds = time.perf_counter() - start
    round_trip, network, own, rest = np.array(rows, np.float32).T
    return NodeCost(round_trip, network, own, rest, max(seconds, frames / rate_hz))
