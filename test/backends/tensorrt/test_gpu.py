# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show: kernels, context, graph, parity, memory, times.

Skipped, with the reason, where there is none. ``--log-cli-level=INFO`` shows the times; the first
run builds an engine.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from backends.tensorrt.test_kernels import NETWORK_HW, candidates, in_encoding, picture, resized
from backends.tensorrt.test_session import tote

from armseg_ros.backends.tensorrt import open_tensorrt
from armseg_ros.backends.tensorrt.engine import BuildSettings
from armseg_ros.backends.tensorrt.environment import Environment, look
from armseg_ros.backends.tensorrt.images import read_images
from armseg_ros.backends.tensorrt.launches import Head, Selection, letterbox_launch, select_launch
from armseg_ros.backends.tensorrt.owner import OwnerThread
from armseg_ros.backends.tensorrt.verification import verify
from armseg_ros.errors import BackendError
from armseg_ros.letterbox import Letterbox
from armseg_ros.models import default_model_path
from armseg_ros.segmenter import Segmenter
from armseg_ros.types import Frame

log = logging.getLogger(__name__)

FRAMES = 1000
FRAME_HW = (2048, 2448)


@pytest.fixture(scope="module")
def environment() -> Environment:
    if importlib.util.find_spec("pycuda") is None:
        pytest.skip("no GPU test: pycuda is not installed")
    found = look()
    if found.device is None or "pycuda" in found.problems:
        pytest.skip(f"no GPU test: {found.problems.get('driver') or found.problems or 'no GPU'}")
    return found


@pytest.fixture
def owner(environment: Environment) -> Iterator[OwnerThread]:
    def make() -> object:
        from armseg_ros.backends.tensorrt.device import CudaDevice

        device = CudaDevice()
        assert environment.device is not None
        device.load_kernels(read_images(environment.device.compute_capability))
        return device

    thread: OwnerThread = OwnerThread(make, lambda device: device.close())
    yield thread
    thread.close()


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "bgra8"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_letterbox_kernel(owner: OwnerThread, encoding: str, dtype: type) -> None:
    bgr = picture((205, 245))
    letterbox = Letterbox.fit((205, 245), NETWORK_HW)
    image = np.ascontiguousarray(in_encoding(bgr, encoding))

    def work(device: object) -> np.ndarray:
        source, out = device.pinned(image.shape, np.uint8), device.pinned((3, *NETWORK_HW), dtype)
        source[...] = image
        address, target = device.allocate(image.nbytes), device.allocate(out.nbytes)
        device.upload(address, source)
        suffix = "f32" if dtype is np.float32 else "f16"
        pitch = image.strides[0]
        device.launch(letterbox_launch(address, pitch, encoding, letterbox, (target, suffix)))
        device.download(out, target)
        device.synchronize()
        return out.copy()

    rgb = bgr[:, :, [1, 1, 1]] if encoding == "mono8" else bgr[:, :, ::-1]
    assert np.abs(owner.call(work) - resized(rgb, letterbox)).max() <= 1e-3


def test_selection_kernel(owner: OwnerThread) -> None:
    rows = candidates("yolov5", np.float32)
    head = Head.of_shape((1, *rows.shape), 32, 84)

    def work(device: object) -> np.ndarray:
        source = device.pinned(rows.shape, np.float32)
        source[...] = rows
        address = device.allocate(rows.nbytes)
        kept, numbers, count = (
            device.pinned(shape, dtype)
            for shape, dtype in (((300, 39), np.float32), ((300,), np.int32), ((1,), np.int32))
        )
        selection = Selection(*(device.allocate(a.nbytes) for a in (kept, numbers, count)), 300)
        device.upload(address, source)
        device.clear(selection.count, 4)
        device.launch(select_launch(address, "f32", head, 0.3, selection))
        device.download(numbers, selection.numbers)
        device.download(count, selection.count)
        device.synchronize()
        return np.sort(numbers[: count[0]])

    passing = (rows[:, 4] > 0.3) & (rows[:, 5:7] * rows[:, 4:5] > 0.3).any(axis=1)
    np.testing.assert_array_equal(owner.call(work), np.flatnonzero(passing))


def test_another_thread_is_refused(owner: OwnerThread) -> None:
    device = owner.call(lambda device: device)
    with pytest.raises(RuntimeError, match="another thread"):
        device.allocate(1)


@pytest.fixture(scope="module")
def backend(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    if environment.tensorrt is None:
        pytest.skip(f"no TensorRT test: {environment.problems['tensorrt']}")
    settings = BuildSettings(folder=tmp_path_factory.mktemp("engines"))
    opened = open_tensorrt(default_model_path(), settings)
    yield opened
    opened.close()


def test_engine_agrees_with_onnx_runtime(backend: object, tmp_path: Path) -> None:
    agreement = verify(backend, default_model_path(), None, 1)
    log.info("%s", agreement)
    assert agreement.holds


def test_graph_gives_the_same_answer(backend: object) -> None:
    tensor = np.random.default_rng(0).random((1, 3, *backend.model.network_hw), np.float32)
    assert backend.uses_graph
    first, second = backend.infer(tensor), backend.infer(tensor)
    np.testing.assert_array_equal(first.candidates, second.candidates)


def test_calls_from_many_threads(backend: object) -> None:
    tensor = np.zeros((1, 3, *backend.model.network_hw), np.float32)
    wanted, answers = backend.infer(tensor), []
    threads = [
        threading.Thread(target=lambda: answers.append(backend.infer(tensor))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_array_equal(answer.candidates, wanted.candidates)


def test_a_thousand_frames_do_not_grow_and_are_timed(backend: object) -> None:
    segmenter = Segmenter(backend)
    frame = Frame(tote(FRAME_HW))
    for _ in range(20):
        segmenter.segment(frame)
    before = look().device
    walls, networks, letterboxes = [], [], []
    for _ in range(FRAMES):
        start = time.perf_counter()
        times = segmenter.segment(frame).times
        walls.append((time.perf_counter() - start) * 1e3)
        networks.append(times.inference)
        letterboxes.append(times.preprocess)
    after = look().device
    for name, values in (("wall", walls), ("network", networks), ("letterbox", letterboxes)):
        p50, p99 = np.percentile(values, [50, 99])
        log.info("%s: p50 %.2f ms, p99 %.2f ms", name, p50, p99)
    assert before is not None
    assert after is not None
    assert after.memory_free > before.memory_free - (16 << 20)


def test_engine_of_another_version_is_refused(backend: object, tmp_path: Path) -> None:
    (tmp_path / "other.engine").write_bytes(b"ftrt" + bytes(4096))
    with pytest.raises(BackendError, match="TensorRT refuses the engine"):
        open_tensorrt(tmp_path / "other.engine")
