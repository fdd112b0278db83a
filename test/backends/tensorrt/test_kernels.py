# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels, compiled as C++, against NumPy and against the package's own CPU path."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from backends.tensorrt.on_cpu import call

from armseg_ros.backends.tensorrt.images import ARCHIVE, choose_images, read_images
from armseg_ros.backends.tensorrt.launches import (
    ENCODINGS,
    Head,
    Selection,
    kernel_suffix,
    letterbox_launch,
    mask_launches,
    mask_window,
    select_launch,
)
from armseg_ros.config import DecodeConfig
from armseg_ros.decode import crop_masks, select_candidates
from armseg_ros.letterbox import PAD_VALUE, Letterbox
from armseg_ros.types import RawOutput

NETWORK_HW = (96, 128)
SIZES = [(61, 90), (205, 245), (96, 128), (512, 612)]


def picture(hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Noise over smooth colour: every tap of an interpolation counts."""
    height, width = hw
    y, x = np.mgrid[:height, :width].astype(np.float32)
    smooth = np.stack((x / width, y / height, (x + y) / (width + height)), axis=2) * 200
    noise = np.random.default_rng(seed).integers(0, 56, (height, width, 3))
    return (smooth + noise).astype(np.uint8)


def in_encoding(bgr: np.ndarray, encoding: str) -> np.ndarray:
    if encoding.startswith("bayer"):
        out = np.empty(bgr.shape[:2], np.uint8)
        for index, letter in enumerate(encoding[6:10]):
            site = slice(index // 2, None, 2), slice(index % 2, None, 2)
            out[site] = bgr[site][:, :, "bgr".index(letter)]
        return out
    order = {"bgr8": [0, 1, 2], "rgb8": [2, 1, 0], "bgra8": [0, 1, 2, 0], "rgba8": [2, 1, 0, 0]}
    return bgr[:, :, 1] if encoding == "mono8" else bgr[:, :, order[encoding]]


def on_kernel(
    image: np.ndarray, encoding: str, letterbox: Letterbox, dtype: type = np.float32
) -> np.ndarray:
    padded = np.zeros(
        (image.shape[0], image.shape[1] * (image.size // np.prod(image.shape[:2])) + 7), np.uint8
    )
    flat = np.ascontiguousarray(image).reshape(len(image), -1)
    padded[:, : flat.shape[1]] = flat  # rows with a gap behind them, as camera drivers make them
    out = np.full((3, *letterbox.network_hw), np.nan, dtype)
    output = (out.ctypes.data, kernel_suffix(out.dtype))
    call(letterbox_launch(padded.ctypes.data, padded.strides[0], encoding, letterbox, output))
    return out


def resized(rgb: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """Bilinear letterbox in float64: (H, W, 3) -> (3, h, w) in 0..1."""
    left, top, right, bottom = letterbox.content_xyxy
    out = np.full((3, *letterbox.network_hw), PAD_VALUE / 255)
    lines = []
    for size, target in ((rgb.shape[0], bottom - top), (rgb.shape[1], right - left)):
        at = (np.arange(target) + 0.5) * size / target - 0.5
        low = np.floor(at).astype(int)
        lines.append((low.clip(0, size - 1), (low + 1).clip(0, size - 1), at - low))
    (y0, y1, ay), (x0, x1, ax) = lines
    ay, ax = ay[:, None, None], ax[None, :, None]
    values = rgb.astype(np.float64)
    above = values[y0][:, x0] * (1 - ax) + values[y0][:, x1] * ax
    below = values[y1][:, x0] * (1 - ax) + values[y1][:, x1] * ax
    content = (above * (1 - ay) + below * ay) / 255
    out[:, top:bottom, left:right] = content.transpose(2, 0, 1)
    return out


@pytest.mark.parametrize("hw", SIZES)
@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name[:5] != "bayer"])
def test_letterbox_equals_numpy(hw: tuple[int, int], encoding: str) -> None:
    bgr = picture(hw)
    letterbox = Letterbox.fit(hw, NETWORK_HW)
    rgb = bgr[:, :, [1, 1, 1]] if encoding == "mono8" else bgr[:, :, ::-1]
    wanted = resized(rgb, letterbox)
    image = in_encoding(bgr, encoding)
    assert np.abs(on_kernel(image, encoding, letterbox) - wanted).max() < 1e-5
    assert np.abs(on_kernel(image, encoding, letterbox, np.float16) - wanted).max() <= 1e-3


@pytest.mark.parametrize("hw", SIZES)
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_letterbox_is_the_one_of_the_cpu(hw: tuple[int, int], mode: str) -> None:
    """OpenCV rounds weights and pixels, so two steps of 1/255 may lie between."""
    bgr = picture(hw)
    letterbox = Letterbox.fit(hw, NETWORK_HW, mode)
    tensor = letterbox.empty_tensor()
    letterbox.write_tensor(bgr, tensor)
    assert np.abs(on_kernel(bgr, "bgr8", letterbox) - tensor[0]).max() < 2 / 255


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name[:5] == "bayer"])
def test_bayer_pattern_of_a_larger_picture_is_read_by_quads(encoding: str) -> None:
    bgr = picture((300, 400))
    mosaic = in_encoding(bgr, encoding)
    letterbox = Letterbox.fit((300, 400), NETWORK_HW)
    letters = encoding[6:10]
    quads = np.zeros((150, 200, 3))
    for index, letter in enumerate(letters):
        share = 0.5 if letter == "g" else 1
        quads[:, :, "rgb".index(letter)] += share * mosaic[index // 2 :: 2, index % 2 :: 2]
    wanted = resized(quads, letterbox)
    assert np.abs(on_kernel(mosaic, encoding, letterbox) - wanted).max() < 1e-5
    assert np.abs(on_kernel(mosaic, encoding, letterbox, np.float16) - wanted).max() <= 1e-3


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name[:5] == "bayer"])
@pytest.mark.parametrize("hw", [(96, 128), (60, 90), (150, 180)])
def test_bayer_pattern_of_a_smaller_picture_is_interpolated(
    encoding: str, hw: tuple[int, int]
) -> None:
    """OpenCV's bilinear demosaicing is the same but at the border and for its rounding."""
    mosaic = in_encoding(picture(hw), encoding)
    code = {"rggb": "BG", "grbg": "GB", "gbrg": "GR", "bggr": "RG"}[encoding[6:10]]
    rgb = cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{code}2RGB"))
    letterbox = Letterbox.fit(hw, NETWORK_HW)
    left, top, right, bottom = letterbox.content_xyxy
    inner = np.s_[:, top + 4 : bottom - 4, left + 4 : right - 4]
    difference = on_kernel(mosaic, encoding, letterbox)[inner] - resized(rgb, letterbox)[inner]
    assert np.abs(difference).max() < 1.01 / 255


def candidates(head: str, dtype: type) -> np.ndarray:
    rng = np.random.default_rng(3)
    rows = rng.random((252, 39)).astype(dtype)
    rows[:, 4] = rng.random(252) ** 4
    rows[7, 0], rows[8, 4], rows[9, 5:7] = np.inf, np.nan, np.nan
    if head == "yolov5":
        return rows
    return np.ascontiguousarray(np.delete(rows[:84], 4, axis=1).T)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
@pytest.mark.parametrize("threshold", [0.05, 0.6, 1.0])
def test_rows_are_those_that_decoding_selects(head: str, dtype: type, threshold: float) -> None:
    raw = candidates(head, dtype)
    layout = Head.of_shape((1, *raw.shape), 32, 84)
    assert (layout.rows, layout.width, layout.classes) == (252 if head == "yolov5" else 84, 39, 2)
    rows = np.zeros((layout.rows, layout.width), np.float32)
    numbers, count = np.full(layout.rows, -1, np.int32), np.zeros(1, np.int32)
    selection = Selection(*(a.ctypes.data for a in (rows, numbers, count)), layout.rows)
    suffix = kernel_suffix(raw.dtype)
    call(select_launch(raw.ctypes.data, suffix, layout, threshold, selection))
    full = raw.astype(np.float32)
    if head == "yolov8":
        full = np.insert(full.T, 4, 1, axis=1)
    prototypes = np.zeros((32, 4, 4), np.float32)
    config = DecodeConfig(score_threshold=threshold, candidate_threshold=threshold)
    wanted = select_candidates(RawOutput(full, prototypes), config)
    found = select_candidates(RawOutput(rows[: count[0]], prototypes), config)
    for array, expected in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(rows[: count[0]], full[numbers[: count[0]]])


def test_rows_beyond_the_capacity_are_counted_but_not_written() -> None:
    raw = candidates("yolov5", np.float32)
    layout = Head.of_shape((1, *raw.shape), 32, 84)
    rows, numbers, count = (
        np.zeros((9, 39), np.float32),
        np.zeros(9, np.int32),
        np.zeros(1, np.int32),
    )
    selection = Selection(*(a.ctypes.data for a in (rows, numbers, count)), 8)
    call(select_launch(raw.ctypes.data, "f32", layout, 0.01, selection))
    assert count[0] > 8
    assert not rows[8].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_masks_are_those_of_the_cpu(dtype: type) -> None:
    rng = np.random.default_rng(5)
    letterbox = Letterbox.fit((411, 530), (160, 160))
    small = rng.normal(size=(32, 10, 10)).astype(np.float32)
    prototypes = np.stack([cv2.resize(plane, (40, 40)) for plane in small]).astype(dtype)
    coefficients = rng.normal(size=(6, 32)).astype(np.float32)
    boxes = np.array(
        [[0, 0, 530, 411], [3, 5, 40, 37], [500.5, 380, 530, 411], [100, 200, 133, 201],
         [7.2, 7.2, 300.9, 250.1], [264, 100, 265, 101]], np.float32,
    )  # fmt: skip
    wanted = crop_masks(coefficients, prototypes.astype(np.float32), boxes, letterbox)
    wrong = total = 0
    for row, box, mask in zip(coefficients, boxes, wanted, strict=True):
        crop = tuple(int(edge) for edge in np.ceil(box))
        window = mask_window(crop, letterbox, (40, 40))
        logits = np.zeros(40 * 40, np.float32)
        bits = np.full((crop[3] - crop[1], window.words), 0xFFFFFFFF, np.uint32)
        source = (prototypes.ctypes.data, kernel_suffix(prototypes.dtype), prototypes.shape)
        for launch in mask_launches(
            window, row.ctypes.data, source, logits.ctypes.data, bits.ctypes.data
        ):
            call(launch)
        unpacked = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little").astype(bool)
        width = crop[2] - crop[0]
        assert not unpacked[:, width:].any()
        wrong += int(np.count_nonzero(unpacked[:, :width] != mask.crop))
        total += mask.crop.size
    assert 0.2 < np.mean([mask.crop.mean() for mask in wanted]) < 0.8
    assert wrong <= total / 1000


def test_every_chip_finds_an_image() -> None:
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = archive.namelist()
    chosen = {
        (7, 5): "sm_75", (8, 0): "sm_80", (8, 6): "sm_86", (8, 7): "sm_87", (8, 9): "sm_89",
        (9, 0): "sm_90", (10, 0): "sm_100", (11, 0): "sm_110", (12, 0): "sm_120", (12, 1): "sm_120",
    }  # fmt: skip
    for chip, name in chosen.items():
        assert choose_images(names, chip) == [f"{name}.cubin", "compute_75.ptx"]
        for _, content in read_images(chip)[:1]:
            assert content.startswith(b"\x7fELF")
    assert choose_images(names, (13, 0)) == ["compute_75.ptx"]
    assert choose_images(["sm_80.cubin", "sm_86.cubin"], (8, 7)) == ["compute_75.ptx"]
    assert b".version 8.5" in dict(read_images((10, 3)))["compute_75.ptx"]


def test_images_are_of_this_source() -> None:
    digest = hashlib.sha256((ARCHIVE.parent / "kernels.cu").read_bytes()).hexdigest()
    with zipfile.ZipFile(ARCHIVE) as archive:
        assert archive.read("source.sha256").decode() == digest, "run kernels/compile.py"


def test_nvcc_compiles_the_kernels(tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    command = ["nvcc", "-cubin", "-arch=sm_87", "-std=c++17", "--Werror=all-warnings"]
    source = ARCHIVE.parent / "kernels.cu"
    subprocess.run([*command, "-o", tmp_path / "k.cubin", source], check=True)
    assert (tmp_path / "k.cubin").read_bytes().startswith(b"\x7fELF")
