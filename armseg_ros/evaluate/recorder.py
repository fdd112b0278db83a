# SPDX-License-Identifier: Apache-2.0
"""The run folder: what goes to disk for each frame, and what is summed up at the end."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.data.new_folder import refuse_used
from armseg_ros.data.source import Item, Source
from armseg_ros.errors import DataError
from armseg_ros.evaluate import summary as summaries
from armseg_ros.evaluate.answer import Provenance, now
from armseg_ros.evaluate.documents import CocoDocuments
from armseg_ros.evaluate.frames import FrameResult
from armseg_ros.evaluate.judged import judge
from armseg_ros.evaluate.matching import match
from armseg_ros.evaluate.merge import MATCHES, TALLY
from armseg_ros.evaluate.operating import operating_above
from armseg_ros.evaluate.overlays import OverlayFolder
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.evaluate.tables import INSTANCES, SAMPLES, TableWriter, instance_rows, sample_row
from armseg_ros.quality.collect import origin_of
from armseg_ros.types import Detections, Frame

_log = logging.getLogger(__name__)


class Recorder:
    """Writes one run.

    Attributes:
        expected: How many pictures the run will have.
        limited: Whether the source may hold more than the run takes.
        network_error: What the network said when it failed last, else empty.
    """

    def __init__(
        self, source: Source, config: EvaluateConfig, folder: Path, mergeable: bool = False
    ) -> None:
        """Create the run folder.

        Args:
            source: What is evaluated.
            config: Settings.
            folder: Where to write.
            mergeable: Also leave what ``merge`` needs to put runs together.

        Raises:
            DataError: It exists and is not empty, or cannot be made.
        """
        self.expected = min(len(source), config.limit or len(source))
        self.limited = config.limit > 0
        self.network_error = ""
        self._source, self._config, self._folder = source, config, folder
        self._mergeable = mergeable
        self._started, self._start = datetime.now(timezone.utc), now()
        self._hash = hashlib.sha256()
        self._tally = summaries.Tally(config.operating_threshold, config.group_by)
        _make_empty(folder)
        self._documents = CocoDocuments(folder, source.has_truth)
        self._samples = TableWriter(folder / "samples.parquet", SAMPLES)
        self._instances = TableWriter(folder / "instances.parquet", INSTANCES)
        self._overlays = OverlayFolder(
            folder / "overlays", self.expected, config.overlays, config.operating_threshold
        )

    @property
    def answered(self) -> int:
        """How many pictures were answered so far."""
        return self._tally.status["answered"]

    def add(self, item: Item, frame: Frame | None, result: FrameResult) -> None:
        """Record one picture.

        Args:
            item: Where it came from.
            frame: Its pixels; None where it did not decode.
            result: What came of it, not matched with the ground truth yet.

        Raises:
            DataError: Its record does not name its scene.
        """
        scene = self._config.group_by
        if scene and scene not in item.attributes:
            known = ", ".join(sorted(item.attributes)) or "none"
            raise DataError(
                f"{item.sample_id} has no attribute {scene!r} to group by; it has {known}"
            )
        index = sum(self._tally.status.values())
        annotations = None
        if result.truth is not None and result.hw is not None:
            annotations = truth_records(result.truth, result.image_id, result.hw)
        self._fingerprint(item, annotations)
        if result.answer is None:
            _log.warning("%s %s: %s", result.sample_id, result.status, result.reason)
        elif frame is not None:
            result = self._match(result, result.answer.detections, annotations)
            result = self._judge(result, frame)
            assert result.operating is not None
            self._overlays.add(index, frame, result.operating.detections, result.operating.quality)
        self._tally.add(result)
        self._samples.add([sample_row(result, self._config.operating_threshold)])
        self._instances.add(instance_rows(result))

    def close(self, provenance: Provenance, complete: bool) -> dict[str, Any]:
        """Score, write everything out and return the summary."""
        self._documents.close()
        self._samples.close()
        self._instances.close()
        self._write_config(provenance)
        if self._mergeable:
            self._documents.scorer.save(self._folder / MATCHES)
            text = json.dumps(self._tally.state())
            (self._folder / TALLY).write_text(text, encoding="utf-8")
        summary = self._summary(provenance, complete)
        text = json.dumps(summary, indent=2, allow_nan=False)
        (self._folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        return summary

    def _flags(self, provenance: Provenance) -> dict[str, Any]:
        decode = self._config.operating().decode
        origin = origin_of(self._source, decode, self._config.group_by)
        return self._tally.flags.summary(provenance, origin, self._folder)

    def _match(
        self,
        result: FrameResult,
        detections: Detections,
        annotations: list[dict[str, Any]] | None,
    ) -> FrameResult:
        """Add the picture to the COCO documents, and match it with its ground truth if any."""
        assert result.hw is not None
        predictions = result_records(detections, result.image_id, result.hw)
        image = {"id": result.image_id, "file_name": result.sample_id}
        image |= {"height": result.hw[0], "width": result.hw[1]}
        self._documents.add(image, annotations, predictions)
        if result.truth is None or annotations is None:
            return result
        masks = [[r["segmentation"] for r in records] for records in (predictions, annotations)]
        return replace(result, matches=match(detections, result.truth, masks[0], masks[1]))

    def _judge(self, result: FrameResult, frame: Frame) -> FrameResult:
        """Look at the picture as the node's user does."""
        answer = result.answer
        assert answer is not None
        operating = answer.operating or operating_above(
            answer.detections, self._config.operating_threshold, answer.quality
        )
        judged = None
        if result.truth is not None:
            judged = judge(frame, operating, result.truth, result.image_id, answer.seed)
        return replace(result, operating=operating, judged=judged)

    def _fingerprint(self, item: Item, annotations: list[dict[str, Any]] | None) -> None:
        """Hash name, picture and labels; the same for a folder and the bag made from it."""
        try:
            content = item.content()
        except DataError:  # a missing picture is already counted as failed
            content = b""
        keys = ("category_id", "iscrowd", "segmentation")
        labels = None
        if annotations is not None:
            labels = [[record[key] for key in keys] for record in annotations]
        for part in (item.sample_id.encode(), content, json.dumps(labels).encode()):
            self._hash.update(hashlib.sha256(part).digest())

    def _write_config(self, provenance: Provenance) -> None:
        document = {
            "source": str(self._source.path.resolve()),
            "split": self._source.split,
            "backend": provenance.backend,
            "model_id": provenance.model_id,
            **summaries.settings_of(self._config, provenance),
            "overlays": self._config.overlays,
        }
        text = yaml.safe_dump(document, sort_keys=False)
        (self._folder / "config.yaml").write_text(text, encoding="utf-8")

    def _summary(self, provenance: Provenance, complete: bool) -> dict[str, Any]:
        finished = datetime.now(timezone.utc)
        return {
            "format": summaries.FORMAT_VERSION,
            "complete": complete,
            "data": summaries.data_of(self._source, self._hash.hexdigest()),
            "model": {
                "model_id": provenance.model_id,
                "sha256": provenance.sha256 or None,
                "backend": provenance.backend,
            },
            "settings": summaries.settings_of(self._config, provenance),
            "frames": {
                "total": max(self.expected, sum(self._tally.status.values())),
                **self._tally.status,
                "unanswered": self._tally.unanswered,
            },
            "accuracy": summaries.accuracy(self._documents.scorer, self._tally),
            "splits": self._tally.splits.summary(),
            "flags": self._flags(provenance),
            "versions": summaries.versions(),
            "times": {
                "started": self._started.isoformat(timespec="seconds"),
                "finished": finished.isoformat(timespec="seconds"),
                "wall_s": now() - self._start,
                "latency_ms": summaries.latency(self._tally),
            },
        }


def _make_empty(folder: Path) -> None:
    refuse_used(folder, "run folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror or error}") from error
