# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: the answers of ONNX Runtime, and one sentence for everything it cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import FOUND, write_network
from onnx import TensorProto, helper, numpy_helper

if find_spec("openvino") is None:  # importing it here would report its use
    pytest.skip("openvino is not installed", allow_module_level=True)
from armseg_ros.backends import openvino as module
from armseg_ros.backends.base import EngineSettings, choose_backend, open_backend
from armseg_ros.backends.model_info import file_sha256
from armseg_ros.errors import BackendError, ConfigError
from armseg_ros.masks import intersection_areas
from armseg_ros.models import default_model_path
from armseg_ros.segmenter import Segmenter
from armseg_ros.synthetic.render import render_tote
from armseg_ros.types import Frame

SIGNALLED = """
import os, signal, sys
from pathlib import Path
from armseg_ros.backends.base import open_backend

first, second = (open_backend(Path(sys.argv[1]), "openvino", 1, 64) for _ in range(2))
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGINT)
"""


QUIET = """
import sys, threading
from pathlib import Path
from armseg_ros.backends.base import open_backend

open_backend(Path(sys.argv[1]), "openvino", 1, 64).close()
print(*[name for name in sys.modules if name.startswith("openvino_telemetry.")])
print(*[thread.name for thread in threading.enumerate()])
"""


def open_openvino(path: Path, **options: object) -> object:
    return open_backend(path, "openvino", 1, 64, precision="fp32", **options)


@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("dynamic", [False, True])
def test_supported_exports(tmp_path: Path, head: str, dtype: type, dynamic: bool) -> None:
    path = write_network(tmp_path / "n.onnx", head=head, dtype=dtype, dynamic=dynamic)
    backend = open_openvino(path)
    assert backend.name == "openvino-fp32"
    assert backend.model.network_hw == (64, 64)
    assert backend.model.class_names == ("Object", "Tote")
    assert backend.model.model_id == f"n@{file_sha256(path)[:12]}"
    detections = Segmenter(backend).segment(Frame(np.zeros((128, 128, 3), np.uint8))).detections
    np.testing.assert_allclose(detections.scores, FOUND["score"], atol=1e-3)
    np.testing.assert_allclose(detections.boxes, [[48, 36, 80, 60]])


def test_it_answers_as_onnx_runtime_does() -> None:
    """The shipped weights on two totes: boxes within half a pixel, masks within a hundredth."""
    reference = Segmenter(open_backend(default_model_path(), "onnxruntime", 1))
    openvino = Segmenter(open_backend(default_model_path(), "openvino", 1, precision="fp32"))
    compared = 0
    for index in range(2):
        frame = Frame(render_tote(7, index, (816, 683)).image)
        wanted = reference.segment(frame).detections
        found = openvino.segment(frame).detections
        assert found.class_ids.tolist() == wanted.class_ids.tolist()
        np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.5)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=0.01)
        areas = [np.array([m.area for m in d.masks]) for d in (wanted, found)]
        shared = np.diag(intersection_areas(wanted.masks, found.masks))
        assert (shared >= 0.99 * (areas[0] + areas[1] - shared)).all()
        compared += len(wanted)
    assert compared > 8


def test_answers_outlive_the_next_call() -> None:
    backend = open_backend(default_model_path(), "openvino", 1, precision="fp32")
    picture = np.random.default_rng(0).random((1, 3, *backend.model.network_hw), np.float32)
    first = backend.infer(picture)
    kept = first.candidates.copy()
    backend.infer(np.zeros_like(picture))
    np.testing.assert_array_equal(first.candidates, kept)


def test_closed_backend_says_so(tmp_path: Path) -> None:
    backend = open_openvino(write_network(tmp_path / "n.onnx"))
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(np.zeros((1, 3, 64, 64), np.float32))


def test_a_signal_is_handled_after_reloads(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx")
    # Python's faulthandler gives the process a signal stack, which OpenVINO replaces.
    command = [sys.executable, "-X", "faulthandler", "-c", SIGNALLED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_tensor_of_another_size_is_one_sentence(tmp_path: Path) -> None:
    backend = open_openvino(write_network(tmp_path / "n.onnx"))
    with pytest.raises(BackendError, match="OpenVINO failed") as caught:
        backend.infer(np.zeros((1, 3, 32, 64), np.float32))
    assert "\n" not in str(caught.value)


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    good = write_network(tmp_path / "good.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name in ("short.onnx", "text.onnx", "empty.onnx", "absent.onnx"):
        with pytest.raises(BackendError, match=name) as caught:
            open_openvino(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [[1, 3, 64, 64], [1, 4, 64, 64], [2, 3, 64, 64], [1, 3, 60, 64]])
def test_other_networks_are_refused_with_their_shapes(tmp_path: Path, shape: list[int]) -> None:
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape[:2], 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "classifier.onnx")
    with pytest.raises(BackendError, match=r"classifier.onnx: .*(\[1, 3, 1, 1\]|4|batch 2|60x64)"):
        open_openvino(tmp_path / "classifier.onnx")


def test_sizes_that_the_network_cannot_have(tmp_path: Path) -> None:
    """A graph that works at one size although its input is open, and one that tells no shape."""
    weights = numpy_helper.from_array(np.array([1, 3, 64, 64]), "shape")
    for shape, said in (([1, 3, "h", "w"], "OpenVINO cannot run it at 32x32"), (None, "no shape")):
        graph = helper.make_graph(
            [helper.make_node("Reshape", ["x", "shape"], ["y"])],
            "fixed",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 64, 64])],
            [weights],
        )
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
        onnx.save(model, tmp_path / "fixed.onnx")
        with pytest.raises(BackendError, match=rf"fixed.onnx: .*{said}"):
            open_backend(tmp_path / "fixed.onnx", "openvino", 1, 32, precision="fp32")


def test_integer_input_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        "bytes",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 64, 64])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "bytes.onnx")
    with pytest.raises(BackendError, match=r"expected one float image input, found .*x.*u8"):
        open_openvino(tmp_path / "bytes.onnx")


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="names"):
        open_openvino(write_network(tmp_path / "n.onnx", names="import os"))
    assert open_openvino(write_network(tmp_path / "m.onnx", names=None)).model.class_names == ()


def test_precision_that_the_processor_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OldCore(type(module._open_core())):
        def get_property(self, device: str, name: str) -> object:
            if name == "OPTIMIZATION_CAPABILITIES":
                return ["FP32", "INT8"]
            return super().get_property(device, name)

    monkeypatch.setattr(module, "_open_core", OldCore)
    path = write_network(tmp_path / "n.onnx")
    with pytest.raises(BackendError, match=r"has no bf16; use precision fp32"):
        open_backend(path, "openvino", precision="bf16")


def test_threads_out_of_range(tmp_path: Path) -> None:
    for threads in (-1, 257):
        with pytest.raises(ConfigError, match=f"threads is {threads}, .* 0 to 256"):
            open_backend(write_network(tmp_path / "n.onnx"), "openvino", threads)


def test_auto_says_why_openvino_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_network(tmp_path / "n.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install 'armseg_ros\[openvino\]'"):
        open_backend(path, "openvino")
    with caplog.at_level("INFO"):
        backend = open_backend(path, "auto")
    assert backend.name == "onnxruntime-cpu"
    [said] = [message for message in caplog.messages if " on onnxruntime-cpu" in message]
    assert said.startswith(f"{backend.model.model_id} on onnxruntime-cpu; ")
    assert "not openvino: OpenVINO cannot be imported" in said


def test_auto_goes_on_where_openvino_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise RuntimeError("no plugin for CPU")

    monkeypatch.setattr(module, "_make_core", refuse)
    choice = choose_backend(write_network(tmp_path / "n.onnx"))
    assert choice.backend.name == "onnxruntime-cpu"
    assert "openvino: OpenVINO cannot start (no plugin for CPU): install" in choice.refused[-1]


def test_nothing_is_sent_anywhere(tmp_path: Path) -> None:
    """OpenVINO's telemetry has a thread that the end of the process would wait for."""
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(write_network(tmp_path / "n.onnx"))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.stdout.splitlines() == ["", "MainThread"]
    assert not (tmp_path / "intel").exists()


def test_auto_takes_openvino_where_it_works(tmp_path: Path) -> None:
    settings = EngineSettings(threads=1, precision="fp32")
    choice = choose_backend(write_network(tmp_path / "n.onnx"), "auto", settings)
    assert choice.backend.name == "openvino-fp32"
    assert not [sentence for sentence in choice.refused if sentence.startswith("onnxruntime")]
