# SPDX-License-Identifier: Apache-2.0
"""The compiled kernels that come with the package: no nvcc is needed at run time."""

from __future__ import annotations

import zipfile
from pathlib import Path

from armseg_ros.errors import BackendError

ARCHIVE = Path(__file__).parent / "kernels" / "images.zip"
PTX = "compute_75.ptx"
TEGRA = ("sm_87", "sm_110")  # their images fit no other chip, and no other image fits them


def read_images(compute_capability: tuple[int, int]) -> list[tuple[str, bytes]]:
    """List the images that a GPU can load, the best first, the PTX for its driver last.

    Args:
        compute_capability: Major and minor.

    Raises:
        BackendError: The archive is missing or damaged, as in an incomplete installation.
    """
    try:
        with zipfile.ZipFile(ARCHIVE) as archive:
            names = choose_images(archive.namelist(), compute_capability)
            # The driver reads PTX up to a zero byte.
            return [(name, archive.read(name) + b"\0" * (name == PTX)) for name in names]
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise BackendError(f"{ARCHIVE}: cannot be read ({error}); install armseg_ros again") from (
            error
        )


def choose_images(names: list[str], compute_capability: tuple[int, int]) -> list[str]:
    """Choose among file names: the chip's own, else one of an older chip of its generation.

    A binary image runs on chips of the same major number and the same or a higher minor number,
    except between Tegra and others; PTX is compiled by the driver, once, for any chip.
    """
    major, minor = compute_capability
    own = f"sm_{major}{minor}"
    older = (f"sm_{major}{lower}" for lower in range(minor - 1, -1, -1))
    kin = [] if own in TEGRA else [chip for chip in older if chip not in TEGRA]
    fitting = [f"{chip}.cubin" for chip in (own, *kin) if f"{chip}.cubin" in names]
    return [*fitting[:1], PTX]
