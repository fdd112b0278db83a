# SPDX-License-Identifier: Apache-2.0
"""Models as the builder needs them: fixed size, and float16 without float16 box coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from backends.tensorrt.detector import WIDTH, write_detector
from networks import write_network
from onnx import TensorProto

from armseg_ros.backends.tensorrt.engine import BuildSettings
from armseg_ros.backends.tensorrt.mixed_precision import decoding_nodes
from armseg_ros.backends.tensorrt.onnx_model import prepare
from armseg_ros.errors import BackendError
from armseg_ros.models import default_model_path


def run(content: bytes) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).random((1, 3, 32, WIDTH), np.float32)
    return session.run(None, {"images": image})


def test_float16_inside_float32_outside(tmp_path: Path) -> None:
    path = write_detector(tmp_path / "n.onnx")
    half = prepare(path, "auto", 640)
    assert (half.precision, half.network_hw, half.dynamic) == ("fp16", (32, WIDTH), False)
    model = onnx.load_model_from_string(half.content)
    types = {t.name: t.data_type for t in model.graph.initializer}
    assert types["grid"] == types["stride"] == types["scales"] == TensorProto.FLOAT
    assert {types[n] for n in types if n.startswith("w")} == {TensorProto.FLOAT16}
    assert [v.type.tensor_type.elem_type for v in model.graph.output] == [TensorProto.FLOAT] * 3
    rows, prototypes, features = run(half.content)
    wanted = run(path.read_bytes())
    assert wanted[0].max() > 1000  # px, where float16 itself could not tell half pixels
    assert 0 < np.abs(rows - wanted[0]).max() < 0.05
    np.testing.assert_allclose(prototypes, wanted[1], atol=0.02)
    np.testing.assert_allclose(features, wanted[2], atol=0.01)


def test_decoding_begins_after_the_last_wide_convolutions(tmp_path: Path) -> None:
    graph = onnx.load(write_detector(tmp_path / "n.onnx")).graph
    names = {graph.node[index].output[0] for index in decoding_nodes(graph)}
    assert names == {"scores", "cells", "pixels", "flat", "output0", "features"}


def test_fp32_is_left_alone_and_int8_needs_quantisation(tmp_path: Path) -> None:
    plain = write_detector(tmp_path / "plain.onnx")
    wanted = run(plain.read_bytes())
    for found, output in zip(run(prepare(plain, "fp32", 640).content), wanted, strict=True):
        np.testing.assert_array_equal(found, output)
    with pytest.raises(BackendError, match="int8 needs a model with QuantizeLinear nodes"):
        prepare(plain, "int8", 640)
    quantised = write_detector(tmp_path / "quantised.onnx", quantised=True)
    assert prepare(quantised, "auto", 640).precision == "int8"
    with pytest.raises(BackendError, match="is quantised; build it with precision int8"):
        prepare(quantised, "fp16", 640)
    with pytest.raises(BackendError, match="does not compute in 'bf16'"):
        BuildSettings("bf16")


def test_the_shipped_float16_model_is_taken_as_it_is() -> None:
    model = prepare(default_model_path(), "auto", 640)
    assert (model.precision, model.class_names) == ("fp16", ("Object", "Tote"))
    with pytest.raises(BackendError, match="holds float16 weights"):
        prepare(default_model_path(), "fp32", 640)


def test_open_sizes_are_fixed(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", dynamic=True)
    model = prepare(path, "fp32", 96)
    assert (model.network_hw, model.dynamic) == ((96, 96), True)
    dims = onnx.load_model_from_string(model.content).graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in dims] == [1, 3, 96, 96]
    with pytest.raises(BackendError, match="multiples of 32"):
        prepare(path, "fp32", 100)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    for name, content in {"a": b"", "b": b"not a network", "c": b"\x08\x09"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BackendError, match="not a model that onnx can load"):
            prepare(tmp_path / name, "fp16", 640)
