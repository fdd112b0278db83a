# SPDX-License-Identifier: Apache-2.0
"""The first and the last picks as pictures, with predicted and true error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from armseg_ros.data.images import decode_image, read_bytes
from armseg_ros.latent.pool import Pool
from armseg_ros.latent.predict import predict_errors
from armseg_ros.latent.proof.trials import divide
from armseg_ros.latent.select import SelectSettings, order
from armseg_ros.latent.strategies import Indices
from armseg_ros.types import Float32Array, Uint8Array

COLUMNS, ROWS = 6, 2
TILE = (192, 161)  # width and height in px
_GAP = 8


def write_montage(pool: Pool, images: Path, target: Path) -> None:
    """Draw two rows of the first and two of the last picks of the targeted strategy, seed 0."""
    seen, hidden = divide(pool, 0)
    picks = order(seen, hidden, SelectSettings(len(hidden)))
    predicted = predict_errors(seen).errors
    count = COLUMNS * ROWS
    blocks = [_block(pool, rows, predicted, images) for rows in (picks[:count], picks[-count:])]
    gap = np.full((_GAP, blocks[0].shape[1], 3), 255, np.uint8)
    whole = np.vstack((blocks[0], gap, blocks[1]))
    cv2.imwrite(str(target), whole, [cv2.IMWRITE_JPEG_QUALITY, 85])


def _block(pool: Pool, rows: Indices, predicted: Float32Array, images: Path) -> Uint8Array:
    tiles = [_tile(pool, int(row), float(predicted[row]), images) for row in rows]
    lines = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    return np.vstack(lines)


def _tile(pool: Pool, row: int, predicted: float, images: Path) -> Uint8Array:
    path = images / pool.sample_ids[row]
    picture = decode_image(read_bytes(path), str(path))
    small = cv2.resize(picture, TILE, interpolation=cv2.INTER_AREA)
    text = f"predicted {predicted:.2f}  true {pool.errors[row]:.2f}"
    cv2.rectangle(small, (0, 0), (TILE[0], 13), (0, 0, 0), -1)
    white = (255, 255, 255)
    cv2.putText(small, text, (3, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, white, 1, cv2.LINE_AA)
    return np.asarray(small, np.uint8)
