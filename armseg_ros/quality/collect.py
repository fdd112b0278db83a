# SPDX-License-Identifier: Apache-2.0
"""Run a network over labelled pictures and keep what the flags are fitted to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from armseg_ros.backends.base import Backend
from armseg_ros.config import DecodeConfig, SegmenterConfig
from armseg_ros.data.model_classes import our_class_ids
from armseg_ros.data.source import Item, Source
from armseg_ros.decode import decode
from armseg_ros.errors import DataError
from armseg_ros.letterbox import Letterbox
from armseg_ros.quality.evidence import gather
from armseg_ros.quality.features import compute_features
from armseg_ros.quality.table import PictureRows, QualityTable, build_table, label_picture
from armseg_ros.types import CLASS_NAMES

# Natural errors are rare; other thresholds make more of the same kind out of one forward pass.
VARIANTS: tuple[dict[str, Any], ...] = (
    {"iou_threshold": 0.6},
    {"iou_threshold": 0.75},
    {"score_threshold": 0.12},
)

_log = logging.getLogger(__name__)


def collect(
    source: Source,
    backend: Backend,
    config: SegmenterConfig,
    *,
    variants: bool = True,
    group_by: str = "",
    limit: int = 0,
) -> QualityTable:
    """Compute features and labels of every labelled picture of a source.

    Args:
        source: Pictures; unlabelled and damaged ones are left out and named in the log.
        backend: The network.
        config: Settings that the node runs with.
        variants: Decode every answer with other thresholds as well, for fitting.
        group_by: Attribute that names the scene; empty makes every picture its own scene.
        limit: Most pictures; 0 takes all.

    Raises:
        DataError: No picture is labelled, a picture lacks the attribute, or the model numbers its
            classes in another order than ground truth does.
        BackendError: The network failed.
    """
    if our_class_ids(backend.model.class_names) not in (None, tuple(range(len(CLASS_NAMES)))):
        raise DataError(
            f"model {backend.model.model_id} numbers its classes "
            f"{', '.join(backend.model.class_names)}; flags need {', '.join(CLASS_NAMES)}: export "
            "it in that order"
        )
    settings = [config.decode, *(replace(config.decode, **v) for v in VARIANTS if variants)]
    rows: list[PictureRows] = []
    total = min(len(source), limit or len(source))
    for index, item in enumerate(tqdm(source, total=total, unit="picture", disable=None)):
        if index == total:
            break
        try:
            rows += _rows(item, backend, settings, config, group_by)
        except DataError as error:
            if group_by and group_by not in item.attributes:
                raise
            _log.warning("%s left out: %s", item.sample_id, error)
    origin = {
        **origin_of(source, config.decode, group_by),
        "letterbox": config.letterbox,
        "variants": len(settings) - 1,
    }
    return build_table(rows, backend.model.sha256, origin)


def origin_of(source: Source, decode: DecodeConfig, group_by: str) -> dict[str, Any]:
    """Say where the pictures of a table come from, and how they were decoded."""
    return {
        "source": source.path.name,
        "split": source.split,
        "thresholds": {
            "score_threshold": decode.score_threshold,
            "iou_threshold": decode.iou_threshold,
        },
        "grouped_by": group_by or "picture",
    }


def _rows(
    item: Item,
    backend: Backend,
    settings: Sequence[DecodeConfig],
    config: SegmenterConfig,
    group_by: str,
) -> list[PictureRows]:
    if group_by and group_by not in item.attributes:
        known = ", ".join(sorted(item.attributes)) or "none"
        raise DataError(f"{item.sample_id} has no attribute {group_by!r}; it has {known}")
    truth = item.truth()
    if truth is None:
        raise DataError("it is not labelled")
    frame = item.frame()
    letterbox = Letterbox.fit(frame.hw, backend.model.network_hw, config.letterbox)
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(frame.image, tensor)
    raw = backend.infer(tensor)
    group = str(item.attributes[group_by]) if group_by else item.sample_id
    rows = []
    for variant, setting in enumerate(settings):
        detections, candidates = decode(raw, letterbox, setting)
        evidence = gather(candidates, detections, raw, tensor)
        if not evidence.finite:
            raise DataError("the network answered with numbers that are not finite")
        features = compute_features(evidence)
        labels = label_picture(evidence, features, detections, truth)
        rows.append(PictureRows(item.sample_id, group, variant, features, *labels))
    return rows
