# SPDX-License-Identifier: Apache-2.0
"""The map of an explorer on disk, so that later pictures can be placed on it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armseg_ros.errors import DataError
from armseg_ros.latent.features import Basis, Population
from armseg_ros.latent.project import Map, place
from armseg_ros.types import Float32Array

FILE_NAME = "map.npz"


@dataclass(frozen=True, slots=True, eq=False)
class SavedMap:
    """A map and the basis that it was made in.

    Attributes:
        folder: The explorer it is of.
        basis: How features become principal components.
        reduced: (M, C) float32, the pictures on it.
        positions: (M, 2) float32, where they lie.
    """

    folder: Path
    basis: Basis
    reduced: Float32Array
    positions: Float32Array

    def extend(self, features: Float32Array) -> Map:
        """Place (N, D) normalised features on it.

        Raises:
            DataError: They are of another length.
        """
        if features.shape[1] != len(self.basis.mean):
            raise DataError(
                f"{self.folder} is of a model with {len(self.basis.mean)} features, these runs "
                f"have {features.shape[1]}"
            )
        points = self.basis.reduce(features)
        method = f"placed between the nearest pictures on the map of {self.folder.name}"
        return Map(place(points, self.reduced, self.positions), method)


def save_map(folder: Path, population: Population, layout: Map) -> None:
    """Write the map; components in half precision, which is enough to find neighbours by."""
    np.savez(
        folder / FILE_NAME,
        model_id=np.array(population.runs[0].summary["model"]["model_id"]),
        mean=population.basis.mean,
        axes=population.basis.axes,
        explained=population.basis.explained,
        reduced=population.reduced.astype(np.float16),
        positions=layout.positions,
    )


def load_map(folder: Path, model_id: str) -> SavedMap:
    """Read the map of an explorer.

    Raises:
        DataError: None is there, it is damaged, or it is of another model.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise DataError(f"{folder}: expected an explorer of 'armseg explore', found no {FILE_NAME}")
    try:
        with np.load(path, allow_pickle=False) as file:
            made_by = str(file["model_id"])
            basis = Basis(file["mean"], file["axes"], file["explained"])
            saved = SavedMap(folder, basis, file["reduced"].astype("f4"), file["positions"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: damaged ({error}); make the explorer again") from error
    if made_by != model_id:
        raise DataError(
            f"{folder} is of the model {made_by}, these runs are of {model_id}; a map is of one "
            "model"
        )
    return saved
