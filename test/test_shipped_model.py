# SPDX-License-Identifier: Apache-2.0
"""The shipped weights: they are the ones that the model card describes, and they see totes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from armseg_ros.backends.base import open_backend
from armseg_ros.masks import intersection_areas, tight_mask
from armseg_ros.models import default_model_path, int8_model_path
from armseg_ros.segmenter import Segmenter
from armseg_ros.synthetic.render import render_tote
from armseg_ros.types import CLASS_NAMES, OBJECT, TOTE, Frame

MOST_BYTES = 16 * 2**20
SHIPPED = (default_model_path(), int8_model_path())


def test_the_card_describes_this_file() -> None:
    path = default_model_path()
    card = (path.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    backend = open_backend(path, threads=1)
    assert backend.model.sha256 in card
    assert backend.model.class_names == CLASS_NAMES
    assert backend.model.network_hw == (448, 544)
    assert path.stat().st_size <= MOST_BYTES


def test_the_int8_file_was_made_from_the_float_file() -> None:
    plain = open_backend(default_model_path(), threads=1).model
    small = open_backend(int8_model_path(), threads=1).model
    card = (int8_model_path().parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert small.sha256 in card
    assert (small.network_hw, small.class_names) == (plain.network_hw, plain.class_names)
    properties = {p.key: p.value for p in onnx.load(int8_model_path()).metadata_props}
    assert properties["quantized_from"] == plain.sha256, "run armseg quantize on the new weights"
    assert int8_model_path().stat().st_size <= MOST_BYTES


def test_pages_name_the_shipped_files_by_their_hashes() -> None:
    hashes = {path.stem: open_backend(path, threads=1).model.sha256 for path in SHIPPED}
    pages = Path(__file__).parents[1] / "docs"
    named = re.findall(
        r"\b(yolov5s_seg_totes\w*)@([0-9a-f]+)",
        " ".join(page.read_text(encoding="utf-8") for page in pages.glob("*.md")),
    )
    assert named
    for stem, start in named:
        assert hashes[stem].startswith(start), f"docs: {stem}@{start}"
    assert f"Detector {hashes['yolov5s_seg_totes'][:12]}." in (pages / "quality.md").read_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_it_finds_the_tote_and_objects_in_it(path: Path) -> None:
    """Two unseen totes: every tote with an IoU above 0.8, and an object in each above 0.5."""
    segmenter = Segmenter(open_backend(path, threads=1))
    for index in range(2):
        tote = render_tote(7, index, (816, 683))
        found = segmenter.segment(Frame(tote.image)).detections
        for class_id, least in ((TOTE, 0.8), (OBJECT, 0.5)):
            ids = [1] if class_id == TOTE else range(2, int(tote.instance_ids.max()) + 1)
            truth = [tight_mask(tote.instance_ids == number) for number in ids]
            masks = [m for m, c in zip(found.masks, found.class_ids, strict=True) if c == class_id]
            shared = intersection_areas(masks, truth)
            areas = [np.array([m.area for m in group]) for group in (masks, truth)]
            union = areas[0][:, None] + areas[1][None] - shared
            assert (shared / union).max() > least
