# SPDX-License-Identifier: Apache-2.0
"""The segmenter's states: what each has, who may change it, and that a signal ends every one."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import write_network

pytest.importorskip("rclpy", reason="rclpy is not installed")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from armseg_ros.backends.base import Choice, open_backend
from armseg_ros.errors import BackendError
from armseg_ros.msg import InstanceArray
from armseg_ros.ros import messages
from armseg_ros.ros.loading import WARM_UPS, Loader, choose_by_parameters
from armseg_ros.ros.managed_node import THREADS, EndingError
from armseg_ros.ros.qos import RESULT_QOS, image_qos
from armseg_ros.ros.segmenter_node import SegmenterNode
from armseg_ros.ros.spinner import Spinner

PICTURE = np.zeros((64, 64, 3), np.uint8)
# Shorter than a user would wait, longer than a busy machine needs; docs/node.md has what it takes.
END_TIMEOUT_S = 15.0


class Operator:
    """A node that asks another for its state, changes it, and sends it images."""

    def __init__(self, context: rclpy.Context) -> None:
        self.node = rclpy.create_node("operator", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.camera = self.node.create_publisher(Image, "image", image_qos("reliable", 10))
        self.answers: list[Any] = []
        self.diagnostics: list[Any] = []
        self.node.create_subscription(
            InstanceArray, "segmenter/instances", self.answers.append, RESULT_QOS
        )
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", self.diagnostics.append, RESULT_QOS
        )
        self.stamp = 0
        kinds = {
            "change_state": ChangeState,
            "set_parameters": SetParameters,
            "enable": SetBool,
            "reload_model": Trigger,
            "get_state": GetState,  # the last to be made, and the first to be asked
        }
        self.clients = {
            name: self.node.create_client(kind, f"segmenter/{name}") for name, kind in kinds.items()
        }
        self.met = False

    def meet(self) -> None:
        """Ask until an answer comes: DDS loses the first ones where one side knows the other."""
        while not self.met:
            self.until(self.clients["get_state"].service_is_ready)
            future = self.clients["get_state"].call_async(GetState.Request())
            end = time.monotonic() + 1.0
            self.until(lambda f=future, e=end: f.done() or time.monotonic() > e)
            self.met = future.done()

    def until(self, done: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        end = time.monotonic() + timeout_s
        while not (result := done()):
            assert time.monotonic() < end, "nothing came in time"
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def begin(self, name: str, request: Any) -> Any:
        self.meet()
        return self.clients[name].call_async(request)

    def call(self, name: str, request: Any) -> Any:
        future = self.begin(name, request)
        self.until(future.done)
        return future.result()

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call("change_state", request).success)

    def state(self) -> str:
        return str(self.call("get_state", GetState.Request()).current_state.label)

    def set(self, name: str, value: Any) -> bool:
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        request = SetParameters.Request(parameters=parameters)
        return bool(self.call("set_parameters", request).results[0].successful)

    def enable(self, on: bool) -> Any:
        return self.call("enable", SetBool.Request(data=on))

    def reload(self) -> Any:
        return self.call("reload_model", Trigger.Request())

    def ask(self) -> Any:
        """Send an image, again where DDS has lost it or its answer, and return the answer."""
        self.until(self.camera.get_subscription_count)
        for _ in range(10):
            self.stamp += 1_000_000
            header = Header(stamp=messages.time_message(self.stamp))
            self.camera.publish(messages.image_to_message(PICTURE, "bgr8", header))
            end = time.monotonic() + 5.0
            self.until(lambda h=header, e=end: self.answer_to(h) or time.monotonic() > e)
            if answer := self.answer_to(header):
                return answer
        raise AssertionError("no answer")

    def answer_to(self, header: Header) -> Any:
        return next((answer for answer in self.answers if answer.header == header), None)

    def hear(self, words: str) -> None:
        """Wait for a first status on /diagnostics that matches; older ones may be on their way."""
        self.diagnostics.clear()
        self.until(
            lambda: any(re.fullmatch(words, array.status[0].message) for array in self.diagnostics)
        )


class Running:
    """A segmenter node that is spun as its process does."""

    def __init__(
        self,
        model: Path,
        load: Callable[[Mapping[str, Any]], Choice] = choose_by_parameters,
        **parameters: Any,
    ) -> None:
        context = rclpy.Context()
        rclpy.init(context=context)
        values = {"model": str(model), "threads": 1, "backend": "onnxruntime"} | parameters
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.failed = threading.Event()
        self.node = SegmenterNode(
            load=load,
            on_failed_start=self.failed.set,
            context=context,
            parameter_overrides=overrides,
        )
        self.spinner = Spinner(self.node, threads=THREADS)

    def close(self) -> None:
        self.node.close()
        self.spinner.close()
        assert self.spinner.error is None


@pytest.fixture
def running(tiny_model: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(**options: Any) -> Running:
        made.append(Running(tiny_model, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def operator() -> Iterator[Operator]:
    context = rclpy.Context()
    rclpy.init(context=context)
    made = Operator(context)
    yield made
    made.executor.shutdown()
    made.node.destroy_node()
    rclpy.try_shutdown(context=context)


class Closing:
    """A real network that remembers whether it was freed."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._backend = open_backend(Path(values["model"]), threads=1)
        self.name, self.model, self.infer = (
            self._backend.name,
            self._backend.model,
            self._backend.infer,
        )
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self._backend.close()


def test_every_state_has_what_it_should(
    running: Callable[..., Running], operator: Operator
) -> None:
    opened: list[Closing] = []

    def load(values: Mapping[str, Any]) -> Choice:
        opened.append(Closing(values))
        return Choice(opened[-1])

    one = running(load=load, autostart=False)
    assert operator.state() == "unconfigured"
    operator.hear("unconfigured")
    assert not opened
    assert not operator.enable(True).success
    assert "configure" in operator.reload().message
    assert not operator.change(Transition.TRANSITION_ACTIVATE)
    for _ in range(2):
        assert operator.change(Transition.TRANSITION_CONFIGURE)
        assert operator.state() == "inactive"
        operator.until(lambda: operator.node.count_publishers("segmenter/instances"))
        assert not operator.camera.get_subscription_count()
        operator.hear("inactive")
        assert not operator.enable(False).success
        for _ in range(2):
            assert operator.change(Transition.TRANSITION_ACTIVATE)
            assert len(operator.ask().instances) == 1
            assert operator.change(Transition.TRANSITION_DEACTIVATE)
            operator.until(lambda: not operator.camera.get_subscription_count())
            assert not opened[-1].closed
        assert operator.change(Transition.TRANSITION_CLEANUP)
        operator.until(lambda: not operator.node.count_publishers("segmenter/instances"))
        assert opened[-1].closed
        assert operator.state() == "unconfigured"
    assert operator.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert operator.state() == "finalized"
    assert len(opened) == 2
    assert not one.node.start_error


def test_shutdown_of_an_active_node_frees_everything(
    running: Callable[..., Running], operator: Operator
) -> None:
    one = running()
    operator.ask()
    assert operator.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    operator.until(lambda: not operator.camera.get_subscription_count())
    assert one.node._model is None
    assert not [thread for thread in threading.enumerate() if thread.name == "segmenter"]


def test_node_answers_while_a_model_loads(
    running: Callable[..., Running], operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def load(values: Mapping[str, Any]) -> Choice:
        logging.getLogger("armseg_ros.backends.tensorrt").info("building: %d %%", 40)
        assert gate.wait(60)
        return choose_by_parameters(values)

    caplog.set_level(logging.INFO, "armseg_ros")
    running(load=load, autostart=False)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    configured = operator.begin("change_state", request)
    operator.until(lambda: operator.state() == "configuring")
    operator.hear(r"loading a model for .* s: building: 40 %")
    assert operator.set("score_threshold", 0.95)
    assert not operator.set("score_threshold", 1.5)
    assert not operator.change(Transition.TRANSITION_CONFIGURE)  # one at a time
    assert not operator.enable(True).success
    assert not configured.done()
    gate.set()
    operator.until(configured.done)
    assert configured.result().success
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    assert operator.ask().instances == []  # the threshold set meanwhile


def test_failed_configuration_can_be_repeated(
    running: Callable[..., Running],
    operator: Operator,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    running(autostart=False)
    assert operator.set("model", "/absent.onnx")
    assert not operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.state() == "unconfigured"
    assert "/absent.onnx: no such model file" in capfd.readouterr().err
    assert operator.set("model", str(tiny_model))
    assert operator.change(Transition.TRANSITION_CONFIGURE)


def test_start_leaves_a_state_that_somebody_else_has_reached(
    running: Callable[..., Running], operator: Operator
) -> None:
    one = running(autostart=False)
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    one.node.start()
    operator.until(lambda: not one.node._starting)
    assert operator.state() == "inactive"
    assert not one.failed.is_set()


def test_engine_that_raises_anything_fails_the_configuration(
    running: Callable[..., Running], operator: Operator
) -> None:
    def load(_: Mapping[str, Any]) -> Choice:
        raise ZeroDivisionError("in the engine")

    one = running(load=load)
    assert one.failed.wait(60)
    assert one.node.start_error == "the engine failed: ZeroDivisionError: in the engine"
    assert operator.state() == "unconfigured"


def test_wrong_override_of_a_quality_of_service_is_said(
    tiny_model: Path, operator: Operator
) -> None:
    one = Running(tiny_model, **{"qos_overrides./image.subscription.reliability": "perfect"})
    assert one.failed.wait(60)
    assert "Unexpected QoS override" in one.node.start_error
    assert operator.state() == "unconfigured"  # by way of the error state, which frees everything
    assert one.node._model is None
    one.close()


def test_quality_of_service_is_overridden(
    running: Callable[..., Running], operator: Operator
) -> None:
    overrides = {
        "qos_overrides./image.subscription.depth": 3,
        "qos_overrides./segmenter/instances.publisher.durability": "transient_local",
    }
    running(**overrides)
    operator.ask()

    def subscriber() -> str:
        [image] = operator.node.get_subscriptions_info_by_topic("/image")
        return str(image.node_name)

    # DDS tells of a subscription before the name of its node.
    operator.until(lambda: subscriber() != "_NODE_NAME_UNKNOWN_")
    assert subscriber() == "segmenter"
    [instances] = operator.node.get_publishers_info_by_topic("/segmenter/instances")
    assert instances.qos_profile.durability.name == "TRANSIENT_LOCAL"


def test_who_asks_for_more_than_is_offered_is_told_once_what_helps(
    running: Callable[..., Running], operator: Operator
) -> None:
    said: list[str] = []
    operator.node.create_subscription(
        Log,
        "/rosout",
        lambda log: said.append(log.msg),
        QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    running()
    operator.ask()
    cameras = [
        operator.node.create_publisher(Image, "image", image_qos("best_effort", 1))
        for _ in range(2)
    ]
    durable = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    for _ in range(2):
        operator.node.create_subscription(
            InstanceArray, "segmenter/instances", operator.answers.append, durable
        )

    def heard(words: str) -> list[str]:
        return [sentence for sentence in said if words in sentence]

    operator.until(lambda: heard("image_reliability:=best_effort"))
    operator.until(lambda: heard("somebody subscribes"))
    operator.ask()
    [camera] = heard("image_reliability:=best_effort")
    assert "a camera offers /image with a reliability" in camera
    [output] = heard("somebody subscribes")
    assert "qos_overrides./segmenter/instances.publisher.durability" in output
    assert len(cameras) == 2


def test_model_is_exchanged_between_images(
    running: Callable[..., Running], operator: Operator, tmp_path: Path
) -> None:
    running()
    first = operator.ask()
    other = write_network(tmp_path / "other.onnx", classes=3, names="['A', 'B', 'C']")
    assert operator.set("model", str(other))
    assert operator.ask().model_id == first.model_id  # not before it is asked for
    response = operator.reload()
    assert response.success
    assert response.message.startswith("other@")
    assert operator.ask().model_id.startswith("other@")
    assert operator.set("model", str(tmp_path / "absent.onnx"))
    response = operator.reload()
    assert not response.success
    assert response.message.startswith("the model before stays: ")
    assert "absent.onnx: no such model file" in response.message
    assert operator.ask().model_id.startswith("other@")


def test_images_are_answered_while_another_model_loads(
    running: Callable[..., Running], operator: Operator
) -> None:
    gate = threading.Event()
    gate.set()

    def load(values: Mapping[str, Any]) -> Choice:
        assert gate.wait(60)
        return choose_by_parameters(values)

    one = running(load=load)
    operator.ask()
    gate.clear()
    reloaded = operator.begin("reload_model", Trigger.Request())
    operator.until(lambda: one.node._loader.busy_s is not None)
    for _ in range(3):
        operator.ask()
    assert "another model is being loaded" in operator.reload().message
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    gate.set()
    operator.until(reloaded.done)
    assert not reloaded.result().success  # it came too late
    assert one.node._model is None


def test_node_ends_while_a_reload_waits_for_an_engine_that_hangs(
    running: Callable[..., Running], operator: Operator
) -> None:
    entered, gate = threading.Event(), threading.Event()

    class Hanging(Closing):
        def __init__(self, values: Mapping[str, Any]) -> None:
            super().__init__(values)
            self._runs, self._real, self.infer = 0, self.infer, self._hang

        def _hang(self, tensor: Any) -> Any:
            self._runs += 1
            if self._runs > WARM_UPS:
                entered.set()
                assert gate.wait(120)
            return self._real(tensor)

    opened: list[Hanging] = []

    def load(values: Mapping[str, Any]) -> Choice:
        opened.append(Hanging(values))
        return Choice(opened[-1])

    one = running(load=load)
    operator.until(operator.camera.get_subscription_count)
    operator.camera.publish(messages.image_to_message(PICTURE, "bgr8", Header()))
    operator.until(entered.is_set)
    reloaded = operator.begin("reload_model", Trigger.Request())
    operator.until(lambda: len(opened) == 2 and one.node._loader.busy_s is None)
    assert operator.set("score_threshold", 0.5)  # the others are not held up by it
    ending = threading.Thread(target=one.node.close, daemon=True)
    ending.start()
    operator.until(lambda: not ending.is_alive())
    operator.until(reloaded.done)
    assert reloaded.result().message == "the node was cleaned up"
    operator.until(lambda: opened[1].closed)
    gate.set()


def test_loader_lets_go_of_whoever_waits() -> None:
    release, freed = threading.Event(), threading.Event()

    class Freed:
        def infer(self, _: Any) -> None: ...

        def close(self) -> None:
            freed.set()

        class model:  # noqa: N801
            network_hw = (32, 32)

    def load(_: Mapping[str, Any]) -> Choice:
        assert release.wait(60)
        return Choice(Freed())

    loader = Loader(load)
    threading.Timer(0.1, loader.close).start()
    with pytest.raises(EndingError):
        loader.load({"quality_model": ""})
    with pytest.raises(BackendError, match="another model"):
        loader.load({"quality_model": ""})
    release.set()
    assert freed.wait(60)


ASKED = """
import threading, time
from armseg_ros.ros.managed_node import THREADS, ManagedNode
from armseg_ros.ros.spinner import Spinner, init_ros

init_ros([])
node, asking = ManagedNode("asked", print), threading.Event()

def ask() -> None:
    asking.set()
    while node.context.ok():
        time.sleep(0.01)
    print(node.state)

node.create_timer(0.01, ask)
spinner = Spinner(node, threads=THREADS)
asking.wait()
spinner.close()
"""


def test_state_is_there_until_the_last_callback_has_returned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "unconfigured\n"), done.stderr


SLOW = """
import time
from armseg_ros.ros import loading, process
loading.choose_backend = lambda *_: time.sleep(600)
raise SystemExit(process.run_segmenter())
"""
PLAIN = "from armseg_ros.ros.process import run_segmenter; raise SystemExit(run_segmenter())"
WAYS = {
    "unconfigured": [],
    "inactive": [Transition.TRANSITION_CONFIGURE],
    "active": [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE],
    "finalized": [Transition.TRANSITION_UNCONFIGURED_SHUTDOWN],
}


def shared_segments(pid: int) -> set[Path]:
    """Segments of Fast DDS that a process has mapped, its own and those of others."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    names = [line.split(maxsplit=5)[-1] for line in lines if "/dev/shm/fast" in line]
    return {Path(name) for name in names if re.search(r"_[0-9a-f]{16}$", name)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("state", [*WAYS, "configuring"])
def test_signal_ends_every_state_with_0(
    tiny_model: Path, operator: Operator, state: str, number: signal.Signals, tmp_path: Path
) -> None:
    slow = state == "configuring"
    parameters = {"model": tiny_model, "threads": 1, "autostart": str(slow).lower()}
    given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    log = tmp_path / "log.txt"
    others = shared_segments(os.getpid())
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW if slow else PLAIN, "--ros-args", *given],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        for transition in WAYS.get(state, []):
            assert operator.change(transition)
        operator.until(lambda: operator.state() == state)
        segments = shared_segments(process.pid) - others
        os.kill(process.pid, number)
        assert process.wait(END_TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()
    assert segments
    assert not [path for path in segments if path.exists()]
    assert "Traceback" not in log.read_text()
    assert "[ERROR]" not in log.read_text()
