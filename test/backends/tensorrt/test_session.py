# SPDX-License-Identifier: Apache-2.0
"""Session, owner thread and backend on a pretended GPU: what they answer, and in which order."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from backends.tensorrt.detector import write_segmenter
from backends.tensorrt.pretended import MAGIC, PretendedDevice, tensorrt_of
from networks import write_network
from onnx import TensorProto, helper
from PIL import Image

from armseg_ros.backends.base import EngineSettings, FrameBackend
from armseg_ros.backends.onnx import OnnxBackend
from armseg_ros.backends.tensorrt import session
from armseg_ros.backends.tensorrt.backend import TensorRtBackend, describe_model
from armseg_ros.backends.tensorrt.graph import CudaGraph
from armseg_ros.backends.tensorrt.owner import OwnerThread
from armseg_ros.backends.tensorrt.selftest import make_reference
from armseg_ros.backends.tensorrt.session import Session
from armseg_ros.backends.tensorrt.verification import Agreement, verify
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.errors import BackendError
from armseg_ros.letterbox import Letterbox
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import Frame, RawOutput

HW = (96, 128)


def backend_of(
    content: bytes,
    names: int = 2,
    self_test: dict | None = None,
    devices: list[PretendedDevice] | None = None,
) -> tuple[TensorRtBackend, list[PretendedDevice]]:
    devices = [] if devices is None else devices

    def open_session() -> Session:
        devices.append(PretendedDevice())
        plan = MAGIC + content if content else b"another version"
        return Session(tensorrt_of(devices[-1]), devices[-1], plan, (8, 7), names)

    model = describe_model(Path("totes.onnx"), "ab" * 32, ("Object", "Tote")[:names], "fp16")
    return TensorRtBackend(open_session, model, self_test or {}), devices


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segmenter(tmp_path_factory.mktemp("model") / "totes.onnx", HW)


@pytest.fixture
def opened(model: Path) -> Iterator[tuple[TensorRtBackend, PretendedDevice]]:
    backend, devices = backend_of(model.read_bytes(), self_test=make_reference(model, HW))
    yield backend, devices[0]
    backend.close()


def tote(hw: tuple[int, int]) -> np.ndarray:
    """Yellow with a few boxes."""
    image = np.full((*hw, 3), (60, 180, 210), np.uint8)
    image[:: hw[0] // 20] = (40, 150, 180)
    for index in range(6):
        y, x = 30 + index % 2 * hw[0] // 2, 20 + index * hw[1] // 7
        image[y : y + hw[0] // 4, x : x + hw[1] // 9] = (40 * index, 255 - 40 * index, 90)
    return image


def test_frame_and_tensor_give_the_answer_of_onnx_runtime(
    opened: tuple[TensorRtBackend, PretendedDevice], model: Path
) -> None:
    """The whole way of a frame: upload, letterbox kernel, network, selection, masks."""
    backend, device = opened
    assert isinstance(backend, FrameBackend)
    assert (backend.name, backend.model.network_hw) == ("tensorrt-fp16", HW)
    config = SegmenterConfig(decode=DecodeConfig(score_threshold=0.6, candidate_threshold=0.5))
    plain = OnnxBackend(model, EngineSettings(threads=1))
    image = tote((240, 300))
    Segmenter(backend, config).segment(Frame(image))  # the first picture makes its slot
    device.log.clear()
    found = Segmenter(backend, config).segment(Frame(image))
    order = [step for step in device.log if step not in ("download", "record")]
    assert order == [
        "upload", "clear", "letterbox_colour_f32", "execute", "select_rows_f32", "synchronize",
    ]  # fmt: skip
    wanted = Segmenter(plain, config).segment(Frame(image))
    assert len(wanted.detections) > 0
    assert len(found.detections) == len(wanted.detections)
    np.testing.assert_allclose(found.detections.boxes, wanted.detections.boxes, atol=0.5)
    np.testing.assert_allclose(found.detections.scores, wanted.detections.scores, atol=0.02)
    for ours, theirs in zip(found.detections.masks, wanted.detections.masks, strict=True):
        assert abs(ours.area - theirs.area) <= 0.02 * theirs.area + 2
    assert found.times.inference == 1.5

    tensor = np.random.default_rng(0).random((1, 3, *HW), np.float32)
    ours, theirs = backend.infer(tensor), plain.infer(tensor)
    np.testing.assert_array_equal(ours.candidates, theirs.candidates)
    np.testing.assert_array_equal(ours.prototypes, theirs.prototypes)
    assert ours.features is not None
    np.testing.assert_array_equal(ours.features, theirs.features)


def test_verification_finds_what_differs(
    opened: tuple[TensorRtBackend, PretendedDevice], model: Path, tmp_path: Path
) -> None:
    backend, _ = opened
    for index in range(3):
        Image.fromarray(tote((60 + index, 90))).save(tmp_path / f"{index}.png")
    agreement = verify(backend, model, tmp_path, 2)
    assert agreement.holds, agreement
    assert (agreement.pictures, agreement.missed, agreement.box_px) == (2, 0, 0)
    assert agreement.instances > 0
    assert verify(backend, model, None, 1).holds

    shift = np.float32([2] + [0] * 38)
    wrong = SimpleNamespace(
        model=backend.model,
        infer=lambda tensor: RawOutput(
            (raw := backend.infer(tensor)).candidates + shift, raw.prototypes
        ),
    )
    moved = verify(wrong, model, tmp_path, 2)
    assert not moved.holds
    assert "DIFFERS" in str(moved)

    def invent(tensor: np.ndarray) -> RawOutput:
        raw = backend.infer(tensor)
        rows = raw.candidates.copy()
        rows[0, :7] = (62, 62, 2, 2, 1, 1, 0)
        return RawOutput(rows, raw.prototypes)

    more = verify(SimpleNamespace(model=backend.model, infer=invent), model, tmp_path, 2)
    assert more.extra == 2
    assert not more.holds
    nothing = Agreement(2, 0, 0, 0, 0.0, 1.0)
    assert not nothing.holds
    assert "finds nothing on 2 pictures" in str(nothing)


def test_selected_rows_are_those_of_the_whole_answer(
    opened: tuple[TensorRtBackend, PretendedDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few rows, more than are fetched at first, and more than fit."""
    backend, _ = opened
    image = tote((300, 400))
    letterbox = Letterbox.fit((300, 400), HW)
    monkeypatch.setattr(session, "FIRST_ROWS", 8)
    counts: list[int] = []
    for threshold in (0.7, 0.5, 0.01):
        if threshold == 0.01:
            monkeypatch.setattr(session, "CAPACITY", counts[-1])
        answer = backend.infer_frame(image, letterbox, threshold)
        whole = backend.infer(answer.tensor)
        rows = whole.candidates
        best = rows[:, 4] * rows[:, 5:7].max(axis=1)
        passing = rows[(rows[:, 4] > threshold) & (best > threshold)]
        wanted = rows if len(passing) > session.CAPACITY else passing
        np.testing.assert_array_equal(answer.raw.candidates, wanted)
        counts.append(len(passing))
    assert counts[0] <= session.FIRST_ROWS < counts[1] <= session.CAPACITY < counts[2]


def test_memory_does_not_grow_with_frames(
    opened: tuple[TensorRtBackend, PretendedDevice],
) -> None:
    backend, device = opened
    sizes = []
    for hw in ((600, 800), (600, 800), (300, 400), (600, 800)):
        backend.infer_frame(tote(hw), Letterbox.fit(hw, HW), 0.25)
        sizes.append(sum(array.size for array in device.live.values()))
    assert len(set(sizes)) == 1


def test_bayer_frames_and_nonsense(opened: tuple[TensorRtBackend, PretendedDevice]) -> None:
    backend, device = opened
    letterbox = Letterbox.fit((300, 400), HW)
    backend.infer_frame(tote((300, 400))[:, :, 0], letterbox, 0.25, "bayer_rggb8")
    assert "letterbox_quads_f32" in device.log
    with pytest.raises(BackendError, match="encoding 'jpeg' is unknown"):
        backend.infer_frame(tote((300, 400)), letterbox, 0.25, "jpeg")
    with pytest.raises(BackendError, match="the letterbox is from"):
        backend.infer_frame(tote((301, 400)), letterbox, 0.25)
    colour = tote((300, 400))
    for image, encoding in (
        (colour[:, :, 0], "bgr8"),
        (colour, "bgra8"),
        (colour, "mono8"),
        (colour, "bayer_rggb8"),
        (colour.astype(np.float32), "bgr8"),
    ):
        with pytest.raises(BackendError, match=rf"is not {encoding}, which has"):
            backend.infer_frame(image, letterbox, 0.25, encoding)
    for shape in ((1, 3, 64, 64), (1, 3, 1, 1)):
        with pytest.raises(BackendError, match=r"the network wants \(1, 3, 96, 128\)"):
            backend.infer(np.zeros(shape, np.float32))
    backend.infer_frame(colour, letterbox, 0.25)  # what was refused did no harm


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
def test_every_head_and_type(tmp_path: Path, head: str, dtype: type) -> None:
    path = write_network(tmp_path / "n.onnx", head=head, dtype=dtype)
    backend, devices = backend_of(path.read_bytes())
    segmentation = Segmenter(backend).segment(Frame(np.zeros((128, 128, 3), np.uint8)))
    assert segmentation.detections.masks[0].area == 32 * 24
    backend.close()
    assert devices[0].log[-1] == "close"
    assert not devices[0].live
    assert not devices[0].outlived
    with pytest.raises(BackendError, match="closed"):
        backend.infer(np.zeros((1, 3, 64, 64), np.float32))
    backend.close()


def write_classifier(path: Path) -> Path:
    """Rows instead of an image, which the network finds once its memory is there."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "classifier",
        [value("x", TensorProto.FLOAT, [1, 8])],
        [value("y", TensorProto.FLOAT, [1, 8])],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def test_failed_starts_leave_nothing_behind(tmp_path: Path, model: Path) -> None:
    before, devices = threading.active_count(), []
    with pytest.raises(BackendError, match="Serialization assertion stdVersionRead == kVERSION"):
        backend_of(b"", devices=devices)
    network = write_network(tmp_path / "n.onnx", names=None).read_bytes()
    with pytest.raises(BackendError, match="the network has 2 classes, expected 1"):
        backend_of(network, names=1, devices=devices)
    other = make_reference(model, HW)
    with pytest.raises(BackendError, match="the engine answers with"):
        backend_of(network, self_test=other, devices=devices)
    features = write_classifier(tmp_path / "c.onnx").read_bytes()
    with pytest.raises(BackendError, match="expected one image"):
        backend_of(features, devices=devices)
    assert [(d.log[-1], d.outlived) for d in devices] == [("close", 0)] * 4
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("fault", "said"),
    [("select_rows_f32", "illegal memory access"), ("refusal", "TensorRT failed to run")],
)
def test_an_error_of_cuda_sticks(tmp_path: Path, fault: str, said: str) -> None:
    backend, devices = backend_of(write_network(tmp_path / "n.onnx").read_bytes())
    devices[0].fail_at = fault
    letterbox = Letterbox.fit((64, 64), (64, 64))
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(BackendError, match=rf"{said}.*restart this process"):
        backend.infer_frame(image, letterbox, 0.25)
    devices[0].fail_at = ""
    with pytest.raises(BackendError, match="the GPU failed before"):
        backend.infer_frame(image, letterbox, 0.25)
    backend.close()


def test_everything_happens_in_one_thread() -> None:
    seen: list[int] = []

    def make() -> str:
        seen.append(threading.get_ident())
        return "resource"

    owner = OwnerThread(make, lambda _: seen.append(threading.get_ident()))
    assert owner.call(lambda r: (seen.append(threading.get_ident()), r)[1]) == "resource"
    with pytest.raises(ZeroDivisionError):
        owner.call(lambda _: 1 / 0)
    owner.close()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()


class PretendedDriver:
    """Stands in for libcuda: counts graphs, fails where it is told to."""

    def __init__(self, fail: str = "") -> None:
        self.calls: list[str] = []
        self.fail = fail

    def __getattr__(self, name: str) -> object:
        if name == self.fail == "cuGraphInstantiateWithFlags":
            raise AttributeError(name)

        def function(*arguments: object) -> int:
            self.calls.append(name)
            for argument in arguments:
                if hasattr(argument, "_obj") and isinstance(argument._obj, ctypes.c_void_p):
                    argument._obj.value = 1
            return 900 if name == self.fail else 0

        return function


def test_graph_is_captured_launched_and_freed() -> None:
    driver, done = PretendedDriver(), []
    graph = CudaGraph(77, lambda: done.append(1), driver)
    graph.launch()
    graph.close()
    graph.close()
    assert done == [1]
    assert driver.calls == [
        "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags",
        "cuGraphDestroy", "cuGraphLaunch", "cuGraphExecDestroy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        ("cuStreamBeginCapture_v2", "failed with error 900"),
        ("cuStreamEndCapture", "failed with error 900"),
        ("cuGraphInstantiateWithFlags", "too old for CUDA graphs"),
    ],
)
def test_graph_that_cannot_be_made_says_why(fail: str, said: str) -> None:
    with pytest.raises(BackendError, match=said):
        CudaGraph(77, lambda: None, PretendedDriver(fail))


def test_graph_ends_the_capture_where_the_work_fails() -> None:
    driver = PretendedDriver()
    with pytest.raises(ZeroDivisionError):
        CudaGraph(77, lambda: 1 / 0, driver)
    assert driver.calls[-2:] == ["cuStreamEndCapture", "cuGraphDestroy"]
