# SPDX-License-Identifier: Apache-2.0
"""Export: what the file offers, and parity with PyTorch."""

import ast
import errno
import subprocess

import numpy as np
import onnx
import pytest
import torch

from armseg_ros.backends.base import open_backend
from armseg_ros.errors import ConfigError, DataError
from armseg_ros.train import checkpoint
from armseg_ros.train.export import export_onnx, git_revision, largest_difference, read_source
from armseg_ros.train.model import YoloV5Seg

HW = (96, 128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = YoloV5Seg(2)
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 96, 128))  # statistics that are not 0 and 1
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    checkpoint.save(path, network.state_dict())
    return path


@pytest.fixture(scope="module")
def files(weights, tmp_path_factory):
    folder, source = tmp_path_factory.mktemp("onnx"), read_source(weights)
    for half in (False, True):
        export_onnx(source, folder / f"{half}.onnx", HW, half)
    return source, folder / "False.onnx", folder / "True.onnx"


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 3, *HW), np.float32)


def test_float32_agrees_with_pytorch(files, image):
    difference = largest_difference(files[0], files[1], image)
    assert difference["output0"] < 2e-3  # of coordinates up to some 500 px
    assert difference["output1"] < 1e-4
    assert difference["features"] < 1e-4


def test_float16_agrees_within_its_precision(files, image):
    difference = largest_difference(files[0], files[2], image)
    assert 0 < difference["output0"] < 1.0  # pixels
    assert difference["output1"] < 2e-2
    assert difference["features"] < 1e-2
    assert files[2].stat().st_size < 0.52 * files[1].stat().st_size


@pytest.mark.parametrize("index", [1, 2])
def test_inputs_outputs_and_metadata_are_those_of_official_exports(files, index):
    model = onnx.load(files[index])
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "images": [1, 3, 96, 128],
        "output0": [1, 3 * (12 * 16 + 6 * 8 + 3 * 4), 39],
        "output1": [1, 32, 24, 32],
        "features": [1, 896],
    }
    types = {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    assert types == {onnx.TensorProto.FLOAT}
    assert model.opset_import[0].version == 17
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["stride"] == "32"
    assert ast.literal_eval(properties["names"]) == {0: "Object", 1: "Tote"}
    assert properties["precision"] == ("fp32", "fp16")[index - 1]
    assert properties["git_revision"]


def test_boxes_are_decoded_in_float32(files):
    model = onnx.shape_inference.infer_shapes(onnx.load(files[2]))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    half_convolutions = [
        node for node in model.graph.node if node.op_type == "Conv" and types.get(node.output[0], 1)
    ]
    assert all(types[n.output[0]] == onnx.TensorProto.FLOAT16 for n in half_convolutions)
    squares = [node for node in model.graph.node if node.op_type in ("Pow", "Sub")]
    assert squares
    assert all(types[node.output[0]] == onnx.TensorProto.FLOAT for node in squares)


def test_the_segmenter_s_backend_reads_the_file(files, image):
    backend = open_backend(files[2])
    raw = backend.infer(image)
    assert backend.model.class_names == ("Object", "Tote")
    assert raw.features is not None
    assert raw.features.shape == (896,)


def test_a_run_says_how_it_was_trained(weights, tmp_path):
    content = {
        "weights": checkpoint.read_weights(weights),
        "step": 9,
        "metrics": {"object_ap": 0.5},
        "settings": "data: [/x/totes]\nval: ''\nval_limit: 60\nsizes: [96x128@1]\nseed: 3\n"
        "weights: /y/w.pt\n",
    }
    checkpoint.save(tmp_path / "best.pt", content)
    info = read_source(tmp_path).info
    assert info["training_data"] == "totes"
    assert info["initial_weights"] == "w.pt"
    assert info["training_steps"] == "9"
    assert info["seed"] == "3"
    assert info["validation"] == "mask AP on up to 60 pictures of totes: {'object_ap': 0.5}"


@pytest.mark.parametrize("settings", ["just words", "seed: 3\n", "data: []\nval: ''\n"])
def test_a_run_that_says_nonsense_of_itself_is_named(weights, tmp_path, settings):
    content = {"weights": checkpoint.read_weights(weights), "settings": settings}
    checkpoint.save(tmp_path / "best.pt", content)
    with pytest.raises(DataError, match=r"best\.pt: what it says of its training does not read"):
        read_source(tmp_path)


def test_the_revision_is_that_of_a_tracked_file_alone(tmp_path):
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    for name in ("own.py", "installed.py"):
        (tmp_path / name).touch()
    assert git_revision(tmp_path / "own.py") == "unknown"
    git("init")
    git("add", "own.py")
    git("commit", "-m", "one")
    assert len(git_revision(tmp_path / "own.py")) == 12
    assert git_revision(tmp_path / "installed.py") == "unknown"


def test_sizes_the_network_cannot_have_are_refused(files, tmp_path):
    with pytest.raises(ConfigError, match="100x128"):
        export_onnx(files[0], tmp_path / "m.onnx", (100, 128))


def test_a_folder_that_is_not_there_is_named_before_the_work(files, tmp_path):
    with pytest.raises(DataError, match=r"none/m\.onnx: the folder does not exist; make it first"):
        export_onnx(files[0], tmp_path / "none" / "m.onnx", HW)


def test_checkpoints_of_other_classes_or_networks_are_refused(tmp_path):
    checkpoint.save(tmp_path / "coco.pt", YoloV5Seg(80).state_dict())
    with pytest.raises(DataError, match="predicts 80 classes, expected 2"):
        read_source(tmp_path / "coco.pt")
    checkpoint.save(tmp_path / "other.pt", {"a": torch.ones(1)})
    with pytest.raises(DataError, match=r"no tensor model\.24"):
        read_source(tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"best\.pt"):
        read_source(tmp_path)


def test_a_full_disk_leaves_no_half_model(files, tmp_path, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", fail)
    with pytest.raises(DataError, match=r"m\.onnx: cannot be written"):
        export_onnx(files[0], tmp_path / "m.onnx", HW)
    assert list(tmp_path.iterdir()) == []
