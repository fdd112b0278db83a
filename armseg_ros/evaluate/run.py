# SPDX-License-Identifier: Apache-2.0
"""Evaluate a source frame by frame, and leave a run folder behind whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from armseg_ros.data.source import Item, Source
from armseg_ros.errors import BackendError, DataError
from armseg_ros.evaluate.answer import Answer, Answerer, NoAnswerError, now
from armseg_ros.evaluate.frames import FrameResult, Status
from armseg_ros.evaluate.recorder import Recorder
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.types import Detections, Frame, Instances

Observer = Callable[[Frame, Detections, Instances | None], None]


def evaluate(
    source: Source,
    answerer: Answerer,
    config: EvaluateConfig,
    folder: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    observe: Observer | None = None,
    mergeable: bool = False,
) -> dict[str, Any]:
    """Evaluate and write the run folder.

    A picture that does not decode, or that is not answered, is counted with its reason and the
    evaluation goes on. Average precision covers the pictures that were answered.

    Args:
        source: Pictures, labelled or not.
        answerer: Who segments them.
        config: Settings.
        folder: Run folder; made if needed, and refused unless empty.
        stop: Asked between pictures; True ends the run early, with what there is.
        mergeable: Also leave what ``merge`` needs to put runs together.
        observe: Called with every answered frame, such as to show it.

    Returns:
        The summary as written; ``complete`` is False where ``stop`` ended the run.

    Raises:
        DataError: The source holds nothing, the folder is in use, or the source broke off; what
            came before is written. Or no picture could be read.
        BackendError: The network failed on every picture, or a node answered none.
    """
    if len(source) == 0:
        raise DataError(f"{source.path} lists no pictures, so there is nothing to evaluate")
    try:
        recorder = Recorder(source, config, folder, mergeable)
        complete = False
        try:
            complete = _answer_all(source, answerer, recorder, stop, observe)
        finally:  # whatever ended it, what there is gets written
            summary = recorder.close(answerer.provenance(), complete)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from error
    if complete and recorder.answered == 0:
        raise _nothing_answered(recorder, summary["frames"])
    return summary


def _nothing_answered(recorder: Recorder, frames: dict[str, Any]) -> BackendError | DataError:
    """Say why a run is worth nothing, by its first picture."""
    if recorder.network_error:
        return BackendError(f"the network failed on every picture: {recorder.network_error}")
    first = frames["unanswered"][0]
    kind = BackendError if frames["dropped"] else DataError
    return kind(
        f"none of {frames['total']} pictures was answered; first {first['sample_id']}: "
        f"{first['reason']}"
    )


def _answer_all(
    source: Source,
    answerer: Answerer,
    recorder: Recorder,
    stop: Callable[[], bool],
    observe: Observer | None,
) -> bool:
    """Go through the source; False where ``stop`` ended it."""
    with tqdm(total=recorder.expected, desc="evaluating", unit="picture", disable=None) as progress:
        for index, item in enumerate(source):
            if recorder.limited and index == recorder.expected:
                break  # without a limit the source says itself when it ends, and what it lacks
            if stop():
                return False
            frame, result = _answer(item, answerer, recorder)
            recorder.add(item, frame, result)
            if observe is not None and frame is not None and result.answer is not None:
                observe(frame, result.answer.detections, result.truth)
            progress.update()
    return True


def _answer(item: Item, answerer: Answerer, recorder: Recorder) -> tuple[Frame | None, FrameResult]:
    """Decode and answer one picture; whatever is wrong with it alone becomes its reason."""
    frame: Frame | None = None
    truth: Instances | None = None
    answer: Answer | None = None
    status: Status = "answered"
    reason = ""
    try:
        start = now()
        frame = item.frame()
        decoded = now()
        truth = item.truth()
        answer = answerer.answer(frame, item.content, (decoded - start) * 1e3)
    except NoAnswerError as error:
        status, reason = "dropped", str(error)
    except BackendError as error:
        status, reason = "failed", str(error)
        recorder.network_error = reason
    except DataError as error:
        status, reason = "failed", str(error)
    return frame, FrameResult(
        sample_id=item.sample_id,
        image_id=item.image_id,
        attributes=item.attributes,
        hw=frame.hw if frame else None,
        stamp_ns=frame.stamp_ns if frame else 0,
        status=status,
        reason=reason,
        answer=answer,
        truth=truth,
    )
