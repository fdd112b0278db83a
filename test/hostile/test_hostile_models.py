# SPDX-License-Identifier: Apache-2.0
"""Model files from elsewhere: weights in other folders, inputs of gigabytes, names that fight."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import write_network  # skips where onnx is missing
from onnx import TensorProto, helper, numpy_helper
from sentences import check_sentence

from armseg_ros.backends.base import open_backend
from armseg_ros.backends.external_data import check_external_data
from armseg_ros.backends.model_info import read_class_names, read_network_hw
from armseg_ros.config import DecodeConfig
from armseg_ros.decode import decode
from armseg_ros.errors import BackendError
from armseg_ros.letterbox import Letterbox
from armseg_ros.types import RawOutput

PLACES = ("initializer", "constant", "subgraph", "function")


def write_external(path: Path, location: str, place: str) -> Path:
    """Write the tiny network with the weights of one tensor in another file."""
    model = onnx.load(write_network(path))
    [node] = [n for n in model.graph.node if n.output[0] == "output0"]
    rows = numpy_helper.to_array(node.attribute[0].t)
    (path.parent / "inside.bin").write_bytes(rows.tobytes())
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=rows.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(rows.nbytes)}.items():
        tensor.external_data.add(key=key, value=value)
    constant = helper.make_node("Constant", [], ["output0"], value=tensor)
    if place == "constant":
        node.CopyFrom(constant)
    elif place == "initializer":
        node.CopyFrom(helper.make_node("Identity", ["weights"], ["output0"]))
        model.graph.initializer.append(tensor)
    elif place == "subgraph":
        inner = helper.make_graph([constant], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["c"], ["o"], then_branch=inner))
    else:
        function = helper.make_function("d", "F", [], ["output0"], [constant], [])
        model.functions.append(function)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "link.bin", "a/../../b", "\0"]
)
def test_weights_outside_the_folder_are_refused(tmp_path: Path, place: str, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(10**5))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = write_external(folder / "tiny.onnx", location, place)
    with pytest.raises(BackendError, match=r"tiny.onnx: keeps weights in .*, outside its own fold"):
        open_backend(model)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    model = write_external(tmp_path / "tiny.onnx", "inside.bin", "initializer")
    backend = open_backend(model)
    assert backend.infer(np.zeros((1, 3, 64, 64), np.float32)).candidates[0, 4] > 0
    backend.close()


@given(st.data())
@settings(
    max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_model_is_walked_without_harm(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "tiny.onnx"
    if not path.exists():
        write_external(path, "../out", "subgraph")
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        check_external_data(path)
    except BackendError as error:
        check_sentence(error, str(path))


def test_inputs_of_gigabytes_are_refused_before_they_are_made() -> None:
    with pytest.raises(BackendError, match="64000x64000, but no side may be above 8192 px"):
        read_network_hw([1, 3, 64000, 64000], 640, Path("m.onnx"))


@pytest.mark.parametrize("text", ["[" * 10**4, "-" * 10**5 + "1", "9" * 10**5, "x" * 10**7, "\0",
                                  "__import__('os').system('id')", "{1: 'a'}", "5"])  # fmt: skip
def test_class_names_are_read_and_not_run(text: str) -> None:
    with pytest.raises(BackendError, match=r"m\.onnx: metadata 'names'") as caught:
        read_class_names(text, Path("m.onnx"))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_metadata_that_is_no_text(tmp_path: Path, engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed")
    path = write_network(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes().replace(b"Object", b"Obj\xff\xfet"))
    with pytest.raises(BackendError, match="no text"):
        open_backend(path, engine)


def test_operators_that_the_engine_does_not_know_are_not_run(tmp_path: Path) -> None:
    model = onnx.load(write_network(tmp_path / "tiny.onnx"))
    model.graph.node.append(helper.make_node("Break", ["images"], ["z"], domain="evil"))
    model.opset_import.append(helper.make_opsetid("evil", 1))
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BackendError, match="evil"):
        open_backend(tmp_path / "tiny.onnx", "onnxruntime")


def test_a_path_beyond_the_file_system() -> None:
    with pytest.raises(BackendError, match="no such model file"):
        open_backend(Path("m" * 5000))
    with pytest.raises(BackendError, match="no such model file"):
        open_backend(Path(os.devnull))


SPOILED = st.sampled_from([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, 1e-40, 7e4])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8), SPOILED), max_size=12),
       st.tuples(st.sampled_from([1, 64, 600]), st.sampled_from([1, 64, 9000])))  # fmt: skip
@settings(max_examples=200, derandomize=True)
def test_networks_that_answer_nonsense_give_finite_boxes_in_the_picture(
    spoils: list[tuple[int, int, float]], hw: tuple[int, int]
) -> None:
    rows = np.tile(np.array([32, 24, 16, 12, 0.9, 1, 0, 1, 1], np.float32), (6, 1))
    prototypes = np.ones((2, 16, 16), np.float32)
    for row, column, value in spoils:
        rows[row, column] = value
        prototypes[0, row, column] = value
    with np.errstate(all="ignore"):
        found, _ = decode(RawOutput(rows, prototypes), Letterbox.fit(hw, (64, 64)), DecodeConfig())
    assert np.isfinite(found.boxes).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.array([hw[1], hw[0]] * 2)).all()
    assert np.isfinite(found.scores).all()
