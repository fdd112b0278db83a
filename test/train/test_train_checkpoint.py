# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: whole or not at all, no code from files, and what may start a model."""

import errno
import logging
import pickle

import pytest
import torch

from armseg_ros.errors import DataError
from armseg_ros.train import checkpoint
from armseg_ros.train.model import YoloV5Seg


def write_partly_then_fail(file) -> None:
    file.write(b"half of a checkpoint")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_last_checkpoint_intact(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 7})
    with pytest.raises(DataError, match=r"last\.pt: cannot be written .*No space.* is intact"):
        checkpoint.write_atomic(path, write_partly_then_fail)
    assert checkpoint.load(path) == {"step": 7}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_failed_first_checkpoint_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="nothing was written"):
        checkpoint.write_atomic(tmp_path / "last.pt", write_partly_then_fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_taken_for_a_file(tmp_path):
    with pytest.raises(DataError, match="is a folder; give the path of a file"):
        checkpoint.save(tmp_path, {"step": 7})
    assert list(tmp_path.iterdir()) == []


def test_pickled_models_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "yolov5s-seg.pt"
    torch.save({"model": torch.nn.Conv2d(3, 3, 1)}, path)
    with pytest.raises(DataError, match=r"yolov5s-seg\.pt: not a plain state dict.*state_dict\(\)"):
        checkpoint.read_weights(path)


def test_a_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "trap.pt"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError):
        checkpoint.load(path)
    assert not (tmp_path / "sprung").exists()


def test_advice_fits_the_cause(tmp_path):
    with pytest.raises(DataError, match=r"free some space$"):
        checkpoint.write_atomic(tmp_path / "last.pt", write_partly_then_fail)
    with pytest.raises(DataError, match=r"choose another place$"):
        checkpoint.save(tmp_path / "absent" / "last.pt", {"step": 7})


class FullFile:
    """Refuses as a limit of file sizes does."""

    def write(self, _data: bytes) -> int:
        raise OSError(errno.EFBIG, "File too large")

    def flush(self) -> None: ...


def test_what_pytorch_hides_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot be written \(File too large\); nothing was"):
        checkpoint.write_atomic(
            tmp_path / "last.pt", lambda _: torch.save(torch.zeros(9), FullFile())
        )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x00" * 100])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.pt: .*\w"):
        checkpoint.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pt: no such file; expected a checkpoint"):
        checkpoint.load(tmp_path / "none.pt")


@pytest.mark.parametrize("key", [None, "weights", "state_dict", "model"])
def test_state_dicts_are_found_plain_or_one_level_down(tmp_path, key):
    state = {"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    torch.save(state if key is None else {key: state, "step": 4}, tmp_path / "w.pt")
    read = checkpoint.read_weights(tmp_path / "w.pt")
    assert read["a"].dtype == torch.float32
    assert read["n"].dtype == torch.int64


def test_a_file_without_tensors_is_refused(tmp_path):
    checkpoint.save(tmp_path / "w.pt", {"step": 3})
    with pytest.raises(DataError, match=r"no state dict; its keys are \['step'\]"):
        checkpoint.read_weights(tmp_path / "w.pt")


def test_weights_for_other_classes_start_all_but_the_prediction_layers(caplog):
    official, own = YoloV5Seg(80), YoloV5Seg(2)
    before = {k: v.clone() for k, v in own.state_dict().items()}
    with caplog.at_level(logging.INFO):
        checkpoint.load_weights(own, official.state_dict(), "coco.pt")
    assert "coco.pt: made for 80 classes, this model has 2" in caplog.text
    for name, value in own.state_dict().items():
        source = before if name.startswith("model.24.m.") else official.state_dict()
        assert torch.equal(value, source[name]), name


def test_weights_of_the_same_shape_are_taken_whole():
    official, own = YoloV5Seg(2), YoloV5Seg(2)
    checkpoint.load_weights(own, official.state_dict(), "w.pt")
    assert all(torch.equal(v, official.state_dict()[k]) for k, v in own.state_dict().items())


def test_a_checkpoint_of_another_network_is_refused():
    narrow = YoloV5Seg(2, width=0.25).state_dict()
    with pytest.raises(DataError, match=r"small\.pt: model\.0\.conv\.weight is \(16, 3, 6, 6\)"):
        checkpoint.load_weights(YoloV5Seg(2), narrow, "small.pt")
    state = YoloV5Seg(2).state_dict()
    del state["model.0.conv.weight"]
    with pytest.raises(DataError, match=r"lacks tensor model\.0\.conv\.weight"):
        checkpoint.load_weights(YoloV5Seg(2), state, "w.pt")
    with pytest.raises(DataError, match="has an unknown tensor other"):
        checkpoint.load_weights(
            YoloV5Seg(2), YoloV5Seg(2).state_dict() | {"other": torch.ones(1)}, "w.pt"
        )
