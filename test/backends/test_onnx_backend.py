# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: supported exports load, everything else is refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import FOUND, write_network
from onnx import TensorProto, helper

from armseg_ros.backends import tensorrt
from armseg_ros.backends.base import EngineSettings, choose_backend, open_backend
from armseg_ros.backends.model_info import file_sha256
from armseg_ros.errors import BackendError
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import Frame


@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("dynamic", [False, True])
def test_supported_exports(tmp_path: Path, head: str, dtype: type, dynamic: bool) -> None:
    path = write_network(tmp_path / "n.onnx", head=head, dtype=dtype, dynamic=dynamic)
    backend = open_backend(path, threads=1, network_size=64)
    assert backend.model.network_hw == (64, 64)
    assert backend.model.class_names == ("Object", "Tote")
    assert backend.model.model_id == f"n@{file_sha256(path)[:12]}"
    segmentation = Segmenter(backend).segment(Frame(np.zeros((128, 128, 3), np.uint8)))
    detections = segmentation.detections
    np.testing.assert_allclose(detections.scores, FOUND["score"], atol=1e-3)
    np.testing.assert_allclose(detections.boxes, [[48, 36, 80, 60]])
    assert detections.masks[0].area == 32 * 24
    assert segmentation.times.total >= segmentation.times.inference > 0


def test_names_may_be_missing_or_a_list(tmp_path: Path) -> None:
    nameless = open_backend(write_network(tmp_path / "a.onnx", names=None))
    assert nameless.model.class_names == ()
    listed = open_backend(write_network(tmp_path / "b.onnx", names="['item', 'bin']"))
    assert listed.model.class_names == ("item", "bin")


def test_closed_backend_says_so(tmp_path: Path) -> None:
    backend = open_backend(write_network(tmp_path / "n.onnx"))
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(np.zeros((1, 3, 64, 64), np.float32))


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    good = write_network(tmp_path / "good.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name in ("short.onnx", "text.onnx", "empty.onnx", "absent.onnx"):
        with pytest.raises(BackendError, match=name):
            open_backend(tmp_path / name)


def test_classifier_is_refused_with_its_shapes(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 1, 1])],
    )
    path = tmp_path / "classifier.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    with pytest.raises(BackendError, match=r"classifier.onnx: .*\[1, 3, 1, 1\]"):
        open_backend(path)


@pytest.mark.parametrize("names", ["{0: 'a'}", "{0: 'a', 2: 'b'}", "import os", "3"])
def test_names_that_do_not_fit(tmp_path: Path, names: str) -> None:
    with pytest.raises(BackendError, match=r"names|classes"):
        open_backend(write_network(tmp_path / "n.onnx", names=names))


def test_input_must_be_whole_strides(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", dynamic=True)
    with pytest.raises(BackendError, match="multiples of 32"):
        open_backend(path, network_size=100)


def test_unknown_backend(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="auto, tensorrt, openvino, onnxruntime"):
        open_backend(write_network(tmp_path / "n.onnx"), backend="abacus")


def test_precisions(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx")
    assert open_backend(path, precision="fp32").name == "onnxruntime-cpu"
    for precision in ("bf16", "fp16"):
        with pytest.raises(BackendError, match=f"not in {precision}; OpenVINO does bf16"):
            open_backend(path, precision=precision)
    with pytest.raises(BackendError, match=r"n.onnx: precision int8 needs .* armseg quantize"):
        open_backend(path, precision="int8")
    with pytest.raises(
        BackendError, match="'fp8' is unknown; use one of auto, fp32, fp16, bf16, int8"
    ):
        open_backend(path, precision="fp8")


def test_where_no_engine_runs_it_auto_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx")
    with pytest.raises(BackendError, match=r"^\S*n.onnx: precision int8 needs a quantised model"):
        open_backend(path, "auto", precision="int8")


def no_driver(*_: object, **__: object) -> None:
    raise BackendError("no driver")


def test_auto_says_why_not_the_better_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "open_tensorrt", no_driver)
    monkeypatch.setitem(sys.modules, "openvino", None)
    choice = choose_backend(write_network(tmp_path / "n.onnx"))
    assert choice.backend.name == "onnxruntime-cpu"
    first, second = choice.refused
    assert first == "tensorrt: no driver"
    assert second.startswith("openvino: OpenVINO cannot be imported")
    assert str(choice) == f"{choice.backend.model.model_id} on onnxruntime-cpu; " + "; ".join(
        f"not {sentence}" for sentence in choice.refused
    )


def test_an_engine_file_is_for_tensorrt_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "open_tensorrt", no_driver)
    (path := tmp_path / "n.engine").write_bytes(b"ftrt")
    for backend in ("auto", "tensorrt"):
        with pytest.raises(BackendError, match=r"^no driver$"):
            choose_backend(path, backend)
    for backend in ("onnxruntime", "openvino"):
        with pytest.raises(BackendError, match=f"TensorRT by its name, which {backend} cannot"):
            choose_backend(path, backend)


def test_a_size_that_the_model_ignores_is_no_obstacle(tmp_path: Path) -> None:
    """No better engine may end the choice with an error of its own limits."""
    path = write_network(tmp_path / "n.onnx")
    choice = choose_backend(path, "auto", EngineSettings(network_size=0, precision="fp32"))
    assert choice.backend.model.network_hw == (64, 64)
    large = write_network(tmp_path / "d.onnx", dynamic=True)
    with pytest.raises(BackendError, match="no side may be above 8192 px"):
        choose_backend(large, "auto", EngineSettings(network_size=8224))


QUIET = """
import sys
from pathlib import Path
from armseg_ros.backends.base import open_backend

open_backend(Path(sys.argv[1]), "onnxruntime", 1, 64).close()
"""


def test_nothing_is_reported(tmp_path: Path) -> None:
    """ONNX Runtime keeps what it reports, and the number of this computer, in the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", QUIET, str(write_network(tmp_path / "n.onnx"))],
        check=True,
        env=environment | {"HOME": str(home)},
    )
    assert list(home.iterdir()) == []
