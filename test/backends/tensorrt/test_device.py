# SPDX-License-Identifier: Apache-2.0
"""``CudaDevice`` on a stand-in for pycuda: its calls fit, nothing is left behind, threads are held.

``test_gpu.py`` has the same on real pycuda.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.tensorrt import pretended_pycuda as pycuda
from backends.tensorrt.detector import write_segmenter
from backends.tensorrt.pretended import MAGIC, PretendedDevice, tensorrt_of
from backends.tensorrt.test_session import HW, tote

from armseg_ros.backends.base import EngineSettings
from armseg_ros.backends.onnx import OnnxBackend
from armseg_ros.backends.tensorrt.backend import TensorRtBackend, describe_model
from armseg_ros.backends.tensorrt.images import read_images
from armseg_ros.backends.tensorrt.selftest import make_reference
from armseg_ros.backends.tensorrt.session import Session
from armseg_ros.errors import BackendError
from armseg_ros.letterbox import Letterbox

NAME = "armseg_ros.backends.tensorrt.device"


@pytest.fixture
def device_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, module in pycuda.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    pycuda.STACK.clear()
    pycuda.LIVE.clear()
    pycuda.REFUSED.clear()
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


def test_frames_through_the_device(device_module: Any, tmp_path: Path) -> None:
    model = write_segmenter(tmp_path / "n.onnx", HW)
    stream = PretendedDevice()
    stream._did = lambda _: None  # only its stream's number is of use here

    def open_session() -> Session:
        plan = MAGIC + model.read_bytes()
        return Session(tensorrt_of(stream), device_module.CudaDevice(), plan, (8, 7), 2)

    described = describe_model(model, "ab" * 32, ("Object", "Tote"), "fp16")
    backend = TensorRtBackend(open_session, described, make_reference(model, HW))
    wanted = OnnxBackend(model, EngineSettings(threads=1))
    for hw in ((300, 400), (200, 200), (500, 400)):
        answer = backend.infer_frame(tote(hw), Letterbox.fit(hw, HW), 0.5)
        raw = wanted.infer(answer.tensor)
        best = raw.candidates[:, 4] * raw.candidates[:, 5:7].max(axis=1)
        passing = raw.candidates[(raw.candidates[:, 4] > 0.5) & (best > 0.5)]
        np.testing.assert_array_equal(answer.raw.candidates, passing)
        np.testing.assert_array_equal(answer.raw.prototypes, raw.prototypes)
        assert (answer.preprocess_ms, answer.inference_ms) == (1.5, 1.5)
    assert not backend.uses_graph  # there is no driver that could capture one
    backend.close()
    assert not pycuda.LIVE
    assert not any(pycuda.STACK.values())


def test_image_that_the_driver_refuses_gives_way_to_the_ptx(device_module: Any) -> None:
    images = read_images((8, 7))
    pycuda.REFUSED.add(images[0][1])
    device = device_module.CudaDevice()
    assert device.load_kernels(images) == "compute_75.ptx"
    pycuda.REFUSED.add(images[1][1])
    with pytest.raises(BackendError, match=r"sm_87\.cubin: .*; compute_75\.ptx: "):
        device.load_kernels(images)
    device.close()
    assert not any(pycuda.STACK.values())


def test_another_thread_is_refused_and_failures_leave_no_context(
    device_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = device_module.CudaDevice()
    event = device.event()
    refused: list[str] = []
    calls = (
        lambda: device.allocate(1),
        lambda: device.record(event),
        lambda: device.milliseconds(event, event),
        lambda: device.stream_handle,
    )

    def use() -> None:
        for call in calls:
            try:
                call()
            except RuntimeError as error:
                refused.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == len(calls)

    def fail(_: object) -> None:
        raise pycuda.Error("an illegal memory access was encountered")

    device.allocate(8)
    monkeypatch.setattr(pycuda.DeviceAllocation, "free", fail)
    pycuda.LIVE.clear()
    device.close()
    assert not any(pycuda.STACK.values())

    def no_stream(*_: object) -> None:
        raise pycuda.Error("out of memory")

    monkeypatch.setattr(pycuda.Stream, "__init__", no_stream)
    with pytest.raises(BackendError, match="the GPU cannot be used"):
        device_module.CudaDevice()
    assert not any(pycuda.STACK.values())
