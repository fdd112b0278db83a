# SPDX-License-Identifier: Apache-2.0
"""Lock-step with a node, with a client that plays the node."""

from __future__ import annotations

import json
import logging
from collections import namedtuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import totes
import yaml

from armseg_ros.config import QualityConfig
from armseg_ros.data.folder import CocoSource
from armseg_ros.data.source import open_source
from armseg_ros.errors import BackendError
from armseg_ros.evaluate.answer import NoAnswerError
from armseg_ros.evaluate.live import Live, Transport
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.table_text import table_text
from armseg_ros.quality.result import Quality, Verdict
from armseg_ros.types import Frame, StageTimes

FIELDS = "detections times backend model_id round_trip_ms quality"
Reply = namedtuple("Reply", FIELDS, defaults=(None,))


class SilentError(Exception):
    """No answer."""


class Client:
    """Answers every picture but those whose turn is in ``silent``."""

    def __init__(self, silent: tuple[int, ...] = (), class_id: int = 0) -> None:
        self.connected = True
        self.model_id = "tiny@1"
        self.asked: list[Any] = []
        self.waited: list[float] = []
        self._silent, self._class_id = silent, class_id

    def wait_for_segmenter(self, timeout_s: float) -> None:
        self.waited.append(timeout_s)
        raise SilentError("no segmenter")

    def ask_image(self, image: np.ndarray, timeout_s: float) -> Reply:
        return self._reply(image, timeout_s)

    def ask_encoded(self, encoded: bytes, image_format: str, timeout_s: float) -> Reply:
        return self._reply((encoded, image_format), timeout_s)

    def _reply(self, what: Any, timeout_s: float) -> Reply:
        self.asked.append(what)
        if len(self.asked) in self._silent:
            raise SilentError(f"no answer within {timeout_s:g} s")
        found = totes.detections([totes.box_mask(2, 2, 60, 44)], [self._class_id], [0.9])
        return Reply(found, StageTimes(decode=3.0, total=9.0), "onnx", self.model_id, 12.5)


def live(client: Client, transport: Transport = "raw") -> Live:
    return Live(client, transport, 2.0, SilentError)


FRAME = Frame(np.zeros((6, 8, 3), np.uint8))


def test_times_are_those_of_the_node() -> None:
    answer = live(Client()).answer(FRAME, bytes, 500.0)
    assert (answer.times.decode, answer.times.total, answer.round_trip_ms) == (3.0, 9.0, 12.5)


def test_compressed_pictures_go_as_they_are() -> None:
    client, encoded = Client(), bytes(cv2.imencode(".jpg", FRAME.image)[1])
    live(client, "compressed").answer(FRAME, lambda: encoded, 0.0)
    assert client.asked == [(encoded, "jpeg")]


def test_raw_recordings_go_as_png() -> None:
    client = Client()
    live(client, "compressed").answer(FRAME, FRAME.image.tobytes, 0.0)
    encoded, image_format = client.asked[0]
    assert image_format == "png"
    assert cv2.imdecode(np.frombuffer(encoded, np.uint8), 1).shape == (6, 8, 3)


def test_a_node_that_is_gone_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.connected = False
    with pytest.raises(NoAnswerError, match="no segmenter"):
        live(client).answer(FRAME, bytes, 0.0)
    assert client.waited == [2.0]
    assert "the segmenter is gone; waiting 2 s" in caplog.text


def test_a_node_that_stays_gone_does_not_cost_a_long_wait_for_every_picture() -> None:
    client = Client()
    client.connected = False
    node = live(client)
    for _ in range(3):
        with pytest.raises(NoAnswerError):
            node.answer(FRAME, bytes, 0.0)
    assert client.waited == [2.0, 1.0, 1.0]
    client.connected = True
    node.answer(FRAME, bytes, 0.0)
    client.connected = False
    with pytest.raises(NoAnswerError):
        node.answer(FRAME, bytes, 0.0)
    assert client.waited[-1] == 2.0


def test_another_model_halfway_is_an_error() -> None:
    client = Client()
    answerer = live(client)
    answerer.answer(FRAME, bytes, 0.0)
    client.model_id = "tiny@2"
    with pytest.raises(BackendError, match="changed its model from tiny@1 to tiny@2"):
        answerer.answer(FRAME, bytes, 0.0)


def test_a_class_beyond_ours_is_an_error() -> None:
    with pytest.raises(BackendError, match="class 7, known are 0 to 1"):
        live(Client(class_id=7)).answer(FRAME, bytes, 0.0)


def test_silence_is_counted_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = CocoSource(totes.write_coco(tmp_path / "coco"))
    with caplog.at_level(logging.WARNING):
        summary = evaluate(
            source, live(Client(silent=(2,), class_id=1)), EvaluateConfig(), tmp_path / "run"
        )
    assert summary["frames"]["dropped"] == 1
    assert summary["frames"]["answered"] == 3
    assert "cell_1/001.jpg dropped: no answer within 2 s" in caplog.text
    assert summary["model"] == {"model_id": "tiny@1", "sha256": None, "backend": "onnx"}
    assert summary["settings"]["mode"] == "live"
    assert summary["settings"]["score_threshold"] is None
    assert summary["settings"]["thresholds_of"] == "the node"
    written = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert written["score_threshold"] is None
    assert summary["settings"].items() <= written.items()
    assert summary["accuracy"]["mask"]["Tote"]["ap"] == pytest.approx(1, abs=1e-9)
    assert summary["times"]["latency_ms"]["round_trip"]["p50"] == 12.5
    assert "the node's own score threshold" in table_text(summary)


def test_nobody_answered_at_all(tmp_path: Path) -> None:
    source = CocoSource(totes.write_coco(tmp_path / "coco"))
    with pytest.raises(
        BackendError, match=r"none of 4 pictures .* first cell_0/000.jpg: no answer"
    ):
        evaluate(source, live(Client(silent=(1, 2, 3, 4))), EvaluateConfig(), tmp_path / "run")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["model"]["model_id"] == "unknown"
    assert summary["accuracy"] is None
    assert "4 dropped" in table_text(summary)


def test_the_flags_of_the_node_reach_the_tables(tmp_path: Path) -> None:
    class Flagging(Client):
        def _reply(self, what: Any, timeout_s: float) -> Reply:
            reply = super()._reply(what, timeout_s)
            p = np.array([0.75], np.float32)
            alone = np.array([-1], np.int32)
            flags = Quality(p, p / 3, alone, 0.75, 0.25, Verdict.LIKELY_OVER, (), (0,), 0.5,
                            QualityConfig())  # fmt: skip
            return reply._replace(quality=flags)

    source = open_source(totes.write_coco(tmp_path / "coco", count=2))
    answerer = Live(Flagging(), "raw", 1.0, SilentError)
    summary = evaluate(source, answerer, EvaluateConfig(), tmp_path / "run")
    assert summary["flags"]["verdicts"]["likely_over"] == 2
    assert summary["settings"]["operating_iou_threshold"] is None
    (first, _) = pq.read_table(tmp_path / "run/samples.parquet").to_pylist()
    assert (first["p_over"], first["p_under"], first["verdict"]) == (0.75, 0.25, "likely_over")
    rows = pq.read_table(tmp_path / "run/instances.parquet").to_pylist()
    found = [row for row in rows if row["kind"] == "prediction"]
    assert [(row["p_over"], row["p_under"]) for row in found] == [(0.75, 0.25)] * 2
    high = EvaluateConfig(operating_threshold=0.95)
    evaluate(source, answerer, high, tmp_path / "high")
    rows = pq.read_table(tmp_path / "high/instances.parquet").to_pylist()
    assert {row["p_over"] for row in rows} == {None}
