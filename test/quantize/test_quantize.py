# SPDX-License-Identifier: Apache-2.0
"""Quantisation: the same network in int8, its metadata kept, its sensitive end in float."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from networks import write_convolutions, write_network
from onnx import TensorProto, helper, numpy_helper

from armseg_ros.backends.base import open_backend
from armseg_ros.backends.model_info import file_sha256
from armseg_ros.cli.main import main
from armseg_ros.data.source import open_source
from armseg_ros.errors import BackendError, DataError
from armseg_ros.quantize.agreement import compare
from armseg_ros.quantize.graph import last_convolutions
from armseg_ros.quantize.pictures import chosen_frames, network_input
from armseg_ros.quantize.static import quantize
from armseg_ros.types import Frame

INPUTS = np.random.default_rng(5).random((8, 1, 3, 64, 64), np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for index in range(5):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    return folder


def weights_of(path: Path) -> dict[str, np.ndarray]:
    model = onnx.load(path)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_int8_answers_as_float_does(tmp_path: Path, dtype: type) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx", dtype=dtype)
    quantize(plain, INPUTS, tmp_path / "int8.onnx", description="8 noises")
    wanted = open_backend(plain, threads=1)
    for engine in ("onnxruntime", "openvino"):
        found = open_backend(tmp_path / "int8.onnx", engine, 1)
        assert found.name == f"{engine}-int8"
        assert found.model.class_names == ("Object", "Tote")
        a, b = wanted.infer(INPUTS[0]), found.infer(INPUTS[0])
        assert 0 < np.abs(a.candidates - b.candidates).max() < 0.05  # of 0..1
        assert np.abs(a.prototypes - b.prototypes).max() < 0.05 * np.ptp(a.prototypes)


def test_metadata_says_what_it_was_made_from(tmp_path: Path) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx")
    quantize(plain, INPUTS, tmp_path / "int8.onnx", description="8 noises")
    model = onnx.load(tmp_path / "int8.onnx")
    assert {item.key: item.value for item in model.metadata_props} == {
        "names": "{0: 'Object', 1: 'Tote'}",
        "stride": "32",
        "precision": "int8",
        "quantized_from": file_sha256(plain),
        "calibration": "8 noises",
    }
    assert [item.domain for item in model.opset_import] == [""]
    quantize(plain, INPUTS, tmp_path / "again.onnx", description="8 noises")
    assert file_sha256(tmp_path / "again.onnx") == file_sha256(tmp_path / "int8.onnx")


def test_last_convolutions_stay_float(tmp_path: Path) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx")
    names = last_convolutions(onnx.load(plain))
    assert names == ["level_16", "level_32", "level_8", "output1"]
    quantize(plain, INPUTS, tmp_path / "int8.onnx")
    types = {name: values.dtype for name, values in weights_of(tmp_path / "int8.onnx").items()}
    assert types["level_8_w"] == types["output1_w"] == np.float32
    assert types["first_w_quantized"] == types["second_w_quantized"] == np.int8


def test_box_distribution_of_yolov8_is_no_last_convolution() -> None:
    """Its mean is taken by a convolution of one output channel; the one before it matters."""
    weights = [
        numpy_helper.from_array(np.zeros((64, 8, 1, 1), np.float32), "w"),
        numpy_helper.from_array(np.zeros((1, 16, 1, 1), np.float32), "mean"),
        numpy_helper.from_array(np.array([1, 16, 4, -1]), "shape"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["logits"], "boxes"),
        helper.make_node("Reshape", ["logits", "shape"], ["bins"], "split"),
        helper.make_node("Softmax", ["bins"], ["shares"], "softmax", axis=1),
        helper.make_node("Conv", ["shares", "mean"], ["y"], "dfl"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 8, 8, 8]), ("y", [1, 1, 4, 64]))
    ]
    graph = helper.make_graph(nodes, "dfl", values[:1], values[1:], weights)
    assert last_convolutions(helper.make_model(graph)) == ["boxes"]


def test_dynamic_axes(tmp_path: Path) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx", dynamic=True)
    quantize(plain, INPUTS, tmp_path / "int8.onnx")
    wanted, found = (
        open_backend(tmp_path / name, network_size=96).infer(np.ones((1, 3, 96, 96), np.float32))
        for name in ("plain.onnx", "int8.onnx")
    )
    assert found.prototypes.shape == (32, 24, 24)
    assert np.abs(wanted.candidates - found.candidates).max() < 0.1


def test_tensorrt_gets_signed_activations_without_zero_point(tmp_path: Path) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx")
    quantize(plain, INPUTS, tmp_path / "int8.onnx", engine="tensorrt")
    weights = weights_of(tmp_path / "int8.onnx")
    zero_points = [values for name, values in weights.items() if "zero_point" in name]
    assert len(zero_points) >= 4
    assert all(z.dtype == np.int8 and not z.any() for z in zero_points)
    assert weights["first_b"].dtype == np.float32
    a, b = (open_backend(tmp_path / name).infer(INPUTS[0]) for name in ("plain.onnx", "int8.onnx"))
    assert np.abs(a.candidates - b.candidates).max() < 0.1


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_int8_file_does_not_pass_for_float(tmp_path: Path, engine: str) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx")
    quantize(plain, INPUTS[:2], tmp_path / "int8.onnx")
    assert open_backend(tmp_path / "int8.onnx", engine, precision="int8").name.endswith("int8")
    with pytest.raises(BackendError, match=r"int8.onnx: is quantised to int8, so .* in fp32"):
        open_backend(tmp_path / "int8.onnx", engine, precision="fp32")


def test_what_cannot_be_quantised(tmp_path: Path) -> None:
    plain = write_convolutions(tmp_path / "plain.onnx")
    quantize(plain, INPUTS[:1], tmp_path / "int8.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, complaint in (
        ("int8.onnx", "is quantised already"),
        ("text.onnx", "not an ONNX model"),
        ("empty.onnx", "not an ONNX model"),
        ("absent.onnx", "not an ONNX model"),
        (write_network(tmp_path / "constant.onnx").name, "no convolution"),
    ):
        with pytest.raises(DataError, match=f"{name}: .*{complaint}"):
            quantize(tmp_path / name, INPUTS, tmp_path / "out.onnx")
    with pytest.raises(DataError, match=r"plain.onnx: cannot be quantised"):
        quantize(plain, [INPUTS[0, :, :2]], tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_interrupted_quantisation_leaves_the_old_file(tmp_path: Path) -> None:
    def tensors() -> Iterator[np.ndarray]:
        yield INPUTS[0]
        raise KeyboardInterrupt

    plain = write_convolutions(tmp_path / "plain.onnx")
    (tmp_path / "out.onnx").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        quantize(plain, tensors(), tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", "plain.onnx"]


def test_pictures_are_spread_over_the_source(pictures: Path) -> None:
    source = open_source(pictures)
    assert [f.sample_id for f in chosen_frames(source, 3)] == ["0.png", "2.png", "4.png"]
    assert len(list(chosen_frames(source, 99))) == 5
    tensor = network_input(next(chosen_frames(source, 1)), (64, 64))
    assert tensor.shape == (1, 3, 64, 64)
    assert tensor[0, :, :8].min() == tensor[0, :, :8].max() == np.float32(114 / 255)


def test_networks_that_agree_and_that_do_not(tmp_path: Path) -> None:
    frames = [Frame(np.zeros((128, 128, 3), np.uint8))] * 2
    same = open_backend(write_network(tmp_path / "a.onnx"), threads=1)
    agreement = compare(same, same, frames)
    assert (agreement.pictures, agreement.first, agreement.second, agreement.shared) == (2, 2, 2, 2)
    nothing = open_backend(write_convolutions(tmp_path / "b.onnx"), threads=1)
    assert compare(same, nothing, frames).shared == 0
    assert "2 pictures: 2 instances in float" in str(agreement)


def test_verb(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, out = write_convolutions(tmp_path / "plain.onnx"), tmp_path / "int8.onnx"
    arguments = ["quantize", str(plain), "--calibrate", str(pictures)]
    assert main([*arguments, "-o", str(out), "--pictures", "4"]) == 0
    said = capsys.readouterr().out
    assert str(out) in said
    assert "4 pictures: " in said
    properties = {item.key: item.value for item in onnx.load(out).metadata_props}
    assert properties["calibration"] == "4 pictures of pictures"
    for wrong, complaint in (
        (["-o", str(plain)], "is the model itself"),
        (["-o", str(tmp_path)], "is a folder; give the path of the file"),
        (["-o", str(tmp_path / "no" / "x.onnx")], "folder does not exist"),
        (["-o", str(out), "--pictures", "0"], "--pictures is 0"),
    ):
        assert main([*arguments, *wrong]) == 2
        assert complaint in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    code = main(["quantize", str(plain), "--calibrate", str(tmp_path / "empty"), "-o", str(out)])
    assert code == 2
    assert "empty" in capsys.readouterr().err


def test_verb_without_onnx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("armseg_ros.quantize")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["quantize", "m.onnx", "--calibrate", "x", "-o", str(tmp_path / "o.onnx")]) == 2
    assert "pip install 'armseg_ros[quantize]'" in capsys.readouterr().err


BUILD = """
import subprocess
import sys
from pathlib import Path
import tensorrt_rtx as trt
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parsed = trt.OnnxParser(network, logger).parse(Path(sys.argv[1]).read_bytes())
built = parsed and builder.build_serialized_network(network, builder.create_builder_config())
print("parsed", parsed, "built", bool(built))
"""


@pytest.mark.parametrize(("engine", "works"), [("tensorrt", True), ("cpu", False)])
def test_tensorrt_builds_the_file_that_was_made_for_it(
    tmp_path: Path, engine: str, works: bool
) -> None:
    """TensorRT-RTX has NVIDIA's parser and a builder that works without a GPU."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    plain = write_convolutions(tmp_path / "plain.onnx")
    quantize(plain, INPUTS, tmp_path / "int8.onnx", engine=engine)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path / "int8.onnx")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"parsed {works} built {works}" in done.stdout, done.stdout + done.stderr
