# SPDX-License-Identifier: Apache-2.0
"""Tensorleap reads totes, model and figures of armseg_ros through this file.

``ARMSEG_DATA`` names a COCO folder in ARMBench's layout, ``ARMSEG_MODEL`` an exported ONNX model
(default: the shipped one). ``python leap_binder.py`` checks the binding on the first pictures.

Input and answer are those of the node: letterbox, no 20-object limit, detections at the node's
thresholds. Figures that need the ground truth read it from the COCO folder, as runs do.

No ``from __future__ import annotations`` here: the platform reads the annotations as types.
"""

import os
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from code_loader.contract.datasetclasses import (
    PredictionTypeHandler,
    PreprocessResponse,
    SamplePreprocessResponse,
)
from code_loader.contract.enums import DataStateType, LeapDataType, MetricDirection
from code_loader.contract.responsedataclasses import BoundingBox
from code_loader.contract.visualizer_classes import LeapImage, LeapImageWithBBox
from code_loader.inner_leap_binder.leapbinder_decorators import (
    tensorleap_custom_loss,
    tensorleap_custom_metric,
    tensorleap_custom_visualizer,
    tensorleap_gt_encoder,
    tensorleap_input_encoder,
    tensorleap_integration_test,
    tensorleap_load_model,
    tensorleap_metadata,
    tensorleap_preprocess,
)

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.config import DecodeConfig, QualityConfig
from armseg_ros.data.coco import splits_in
from armseg_ros.data.coco_records import result_records, truth_records
from armseg_ros.data.folder import CocoItem, CocoSource
from armseg_ros.decode import decode
from armseg_ros.errors import DataError
from armseg_ros.evaluate.attributes import describe_sample
from armseg_ros.evaluate.judged import JudgedPicture, judge
from armseg_ros.evaluate.matching import match
from armseg_ros.evaluate.operating import operating_above
from armseg_ros.heads import read_outputs
from armseg_ros.letterbox import Letterbox
from armseg_ros.models import default_model_path
from armseg_ros.overlay import draw_overlay
from armseg_ros.quality.draw import draw_suspects
from armseg_ros.quality.result import Quality
from armseg_ros.quality.shipped import open_flags
from armseg_ros.types import CLASS_NAMES, OBJECT, Detections, Instances, RawOutput

FloatArray = npt.NDArray[np.float32]

CHANNEL_AXES = {"output0": -1, "output1": 1, "features": -1}
STATES = {
    "train": DataStateType.training,
    "val": DataStateType.validation,
    "test": DataStateType.test,
}
NODE = DecodeConfig()
OVERLAY_WIDTH_PX = 1024


@lru_cache
def model_path() -> Path:
    """The model whose answers are looked at."""
    return Path(os.environ.get("ARMSEG_MODEL") or default_model_path())


@lru_cache
def open_model() -> onnxruntime.InferenceSession:
    """Load it once."""
    return onnxruntime.InferenceSession(model_path(), providers=["CPUExecutionProvider"])


@lru_cache
def network_hw() -> tuple[int, int]:
    """Height and width of the network's input."""
    height, width = open_model().get_inputs()[0].shape[2:]
    return int(height), int(width)


@dataclass(frozen=True)  # no slots: the figure below is counted once
class Split:
    """The pictures of a split by sample id."""

    items: dict[str, CocoItem]

    @cached_property
    def most_instances(self) -> int:
        """Largest number of ground truths in a picture, at least 1."""
        return max([1, *(len(truth) for i in self.items.values() if (truth := i.truth()))])


@lru_cache(maxsize=4)  # every callback asks for the same picture
def frame_of(item: CocoItem) -> Any:
    """Decode a picture."""
    return item.frame()


def item_of(sample_id: Any, preprocess: PreprocessResponse) -> CocoItem:
    """Find a picture."""
    item: CocoItem = preprocess.data.items[str(sample_id)]
    return item


def letterbox_of(item: CocoItem) -> Letterbox:
    """Geometry of its way into the network."""
    return Letterbox.fit(frame_of(item).hw, network_hw(), "letterbox")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the node would publish for a picture, and what ground truth says of it."""

    item: CocoItem
    detections: Detections
    quality: Quality
    truth: Instances

    def judged(self) -> JudgedPicture:
        """Hold it against the ground truth."""
        operating = operating_above(self.detections, 0.0, self.quality)
        return judge(frame_of(self.item), operating, self.truth, self.item.image_id)

    def error(self) -> float:
        """1 - F1 of the objects at mask IoU 0.5; 0 where nothing was there and nothing found."""
        hw = frame_of(self.item).hw
        masks = [
            [record["segmentation"] for record in records]
            for records in (
                result_records(self.detections, 1, hw),
                truth_records(self.truth, 1, hw),
            )
        ]
        matches = match(self.detections, self.truth, *masks)
        shown = (self.detections.class_ids == OBJECT) & ~matches.ignored
        hits = int((shown & (matches.truth_of >= 0)).sum())
        wanted = int(((self.truth.class_ids == OBJECT) & ~self.truth.crowd).sum())
        both = int(shown.sum()) + wanted
        return 1 - 2 * hits / both if both else 0.0


def look(item: CocoItem, rows: npt.NDArray[Any], prototypes: npt.NDArray[Any]) -> Found:
    """Decode and judge one answer of the network, which the platform stores as float16."""
    outputs = [rows[None].astype(np.float32), prototypes[None].astype(np.float32)]
    raw: RawOutput = read_outputs(outputs, network_hw(), len(CLASS_NAMES))
    letterbox = letterbox_of(item)
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(frame_of(item).image, tensor)
    decoded = decode(raw, letterbox, NODE)
    quality = open_flags().assess(
        decoded, raw, tensor, file_sha256(model_path()), config=QualityConfig(), decode_config=NODE
    )
    return Found(item, decoded[0], quality, _truth_of(item))


def _truth_of(item: CocoItem) -> Instances:
    truth = item.truth()
    if truth is not None:
        return truth
    none = np.zeros(0)
    return Instances(
        none.reshape(0, 4).astype(np.float32), none.astype(np.int32), (), none.astype(np.bool_)
    )


def _looked_at(
    rows: npt.NDArray[Any], prototypes: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> list[Found]:
    """Look at a batch."""
    ids = np.atleast_1d(sample.sample_ids)
    items = [item_of(sample_id, sample.preprocess_response) for sample_id in ids]
    return [look(item, rows[n], prototypes[n]) for n, item in enumerate(items)]


@tensorleap_preprocess()
def preprocess_totes() -> list[PreprocessResponse]:
    """List the pictures of every split that the folder holds."""
    folder = Path(os.environ.get("ARMSEG_DATA") or "")
    splits = splits_in(folder)
    if not splits:
        raise DataError(
            f"ARMSEG_DATA is {str(folder)!r}, expected a COCO folder with train.json, val.json or "
            "test.json beside images/"
        )
    responses = []
    for split in splits:
        items = {item.sample_id: item for item in CocoSource(folder, split)}
        if items:
            responses.append(
                PreprocessResponse(sample_ids=list(items), data=Split(items), state=STATES[split])
            )
    return responses


@tensorleap_input_encoder("images", channel_dim=1)
def encode_image(sample_id: str, preprocess: PreprocessResponse) -> FloatArray:
    """Give (3, h, w) RGB 0..1, letterboxed as the node does it."""
    item = item_of(sample_id, preprocess)
    letterbox = letterbox_of(item)
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(frame_of(item).image, tensor)
    return tensor[0]


@tensorleap_gt_encoder("instances")
def encode_truth(sample_id: str, preprocess: PreprocessResponse) -> FloatArray:
    """Give (n, 6) rows of class, x1, y1, x2, y2 in network px, crowd; rows of -1 fill it up."""
    item = item_of(sample_id, preprocess)
    truth = _truth_of(item)
    rows = np.full((preprocess.data.most_instances, 6), -1, np.float32)
    rows[: len(truth), 0] = truth.class_ids
    rows[: len(truth), 1:5] = letterbox_of(item).boxes_to_network(truth.boxes)
    rows[: len(truth), 5] = truth.crowd
    return rows


@tensorleap_metadata("picture")
def describe_picture(sample_id: str, preprocess: PreprocessResponse) -> dict[str, Any]:
    """Give the 25 attributes of a picture and the plain fields of its record."""
    item = item_of(sample_id, preprocess)
    attributes = asdict(describe_sample(frame_of(item), _truth_of(item), item.image_id))
    record = {k: v for k, v in item.attributes.items() if isinstance(v, (str, int, float, bool))}
    return {**record, **attributes}


@tensorleap_custom_metric("splits_and_merges", direction=MetricDirection.Downward)
def count_splits_and_merges(
    output0: npt.NDArray[Any], output1: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> dict[str, FloatArray]:
    """Count by both rules: objects split, masks merging, objects missed, noise."""
    counted = [found.judged().at_tolerance for found in _looked_at(output0, output1, sample)]
    return {
        f"{rule}_{name}": np.array([getattr(c[rule], name) for c in counted], np.float32)
        for rule in ("seed", "hoover")
        for name in ("over", "under", "missed", "noise")
    }


@tensorleap_custom_metric("flags", direction=MetricDirection.Downward)
def read_flags(
    output0: npt.NDArray[Any], output1: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> dict[str, FloatArray]:
    """Give what the node says without ground truth; -1 where it does not judge."""
    qualities = [found.quality for found in _looked_at(output0, output1, sample)]
    values = {
        "p_over": [quality.frame_p_over for quality in qualities],
        "p_under": [quality.frame_p_under for quality in qualities],
        "tote_coverage": [quality.tote_coverage for quality in qualities],
    }
    return {name: np.nan_to_num(np.array(v, np.float32), nan=-1) for name, v in values.items()}


@tensorleap_custom_loss("error")
def picture_error(
    output0: npt.NDArray[Any],
    output1: npt.NDArray[Any],
    instances: npt.NDArray[Any],
    sample: SamplePreprocessResponse,
) -> FloatArray:
    """Give 1 - F1 of the objects: what colours the population map."""
    del instances  # the masks come from the folder; the platform wants a loss that sees the truth
    errors = [found.error() for found in _looked_at(output0, output1, sample)]
    return np.array(errors, np.float32)


def _one(
    rows: npt.NDArray[Any], prototypes: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> Found:
    """Look at one picture, with or without the dimension of the batch."""
    return _looked_at(rows.reshape(1, *rows.shape[-2:]),
                      prototypes.reshape(1, *prototypes.shape[-3:]), sample)[0]  # fmt: skip


@tensorleap_custom_visualizer("prediction", LeapDataType.Image)
def draw_prediction(
    output0: npt.NDArray[Any], output1: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> LeapImage:
    """Draw masks and scores, and what is probably split or merged, as the node's overlay."""
    found = _one(output0, output1, sample)
    image = frame_of(found.item).image
    scale = min(1.0, OVERLAY_WIDTH_PX / image.shape[1])
    overlay = draw_overlay(image, found.detections, scale)
    draw_suspects(overlay, found.detections, found.quality, scale)
    return LeapImage(np.ascontiguousarray(overlay[..., ::-1]))


@tensorleap_custom_visualizer("ground_truth", LeapDataType.Image)
def draw_ground_truth(instances: npt.NDArray[Any], sample: SamplePreprocessResponse) -> LeapImage:
    """Draw the masks of the ground truth."""
    del instances
    item = item_of(np.atleast_1d(sample.sample_ids)[0], sample.preprocess_response)
    image = frame_of(item).image
    overlay = draw_overlay(image, _truth_of(item), min(1.0, OVERLAY_WIDTH_PX / image.shape[1]))
    return LeapImage(np.ascontiguousarray(overlay[..., ::-1]))


@tensorleap_custom_visualizer("boxes", LeapDataType.ImageWithBBox)
def draw_boxes(
    output0: npt.NDArray[Any], output1: npt.NDArray[Any], sample: SamplePreprocessResponse
) -> LeapImageWithBBox:
    """Give the boxes of what was found, with their scores."""
    found = _one(output0, output1, sample)
    image = frame_of(found.item).image
    height, width = image.shape[:2]
    boxes = [
        BoundingBox(
            x=float((x1 + x2) / 2 / width),
            y=float((y1 + y2) / 2 / height),
            width=float((x2 - x1) / width),
            height=float((y2 - y1) / height),
            confidence=float(score),
            label=CLASS_NAMES[class_id],
        )
        for (x1, y1, x2, y2), score, class_id in zip(
            found.detections.boxes, found.detections.scores, found.detections.class_ids, strict=True
        )
    ]
    return LeapImageWithBBox(np.ascontiguousarray(image[..., ::-1]), boxes)


def prediction_types() -> list[PredictionTypeHandler]:
    """Name the channels of every output of the model."""
    types = []
    for output in open_model().get_outputs():
        axis = CHANNEL_AXES[output.name]
        labels = [f"{output.name}_{channel}" for channel in range(output.shape[axis])]
        types.append(PredictionTypeHandler(output.name, labels, axis))
    return types


@tensorleap_load_model(prediction_types())
def load_model() -> onnxruntime.InferenceSession:
    """Open the network for the check below; the platform runs the uploaded file."""
    return open_model()


@tensorleap_integration_test()
def check_binding(sample_id: str, preprocess: PreprocessResponse) -> None:
    """Run one picture through everything above."""
    model = load_model()
    image = encode_image(sample_id, preprocess)
    truth = encode_truth(sample_id, preprocess)
    sample = SamplePreprocessResponse(np.array([sample_id]), preprocess)
    answer = model.run(None, {model.get_inputs()[0].name: image})
    describe_picture(sample_id, preprocess)
    count_splits_and_merges(answer[0], answer[1], sample)
    read_flags(answer[0], answer[1], sample)
    picture_error(answer[0], answer[1], truth, sample)
    draw_prediction(answer[0], answer[1], sample)
    draw_ground_truth(truth, sample)
    draw_boxes(answer[0], answer[1], sample)


if __name__ == "__main__":
    for response in preprocess_totes():
        for one in response.sample_ids[:2]:
            check_binding(one, response)
