# SPDX-License-Identifier: Apache-2.0
"""Compile ``kernels.cu`` for every GPU that the package supports: ``python compile.py``.

Binary images and PTX come from NVRTC 12.6, the oldest CUDA that is supported (JetPack 6.1): drivers
load what older toolkits made, and refuse the PTX of newer ones. Chips that CUDA 12.6 does not know
come from nvcc 13. Needs no GPU: ``pip install nvidia-cuda-nvrtc-cu12==12.6.*
nvidia-cuda-runtime-cu12==12.6.*``, and nvcc 13 on the PATH.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "kernels.cu"
IMAGES = HERE / "images.zip"
STAMP = "source.sha256"  # of the source that the images were made of; a test compares
NVRTC_CHIPS = ("sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90")
NVCC_CHIPS = ("sm_100", "sm_110", "sm_120")
PTX = "compute_75"


def main() -> None:
    """Write one archive: an image per chip, and the PTX that any other one compiles for itself."""
    nvidia = importlib.util.find_spec("nvidia.cuda_nvrtc")
    runtime = importlib.util.find_spec("nvidia.cuda_runtime")
    if nvidia is None or runtime is None or shutil.which("nvcc") is None:
        sys.exit(__doc__)
    libraries = Path(next(iter(nvidia.submodule_search_locations or ()))) / "lib"
    include = Path(next(iter(runtime.submodule_search_locations or ()))) / "include"
    ctypes.CDLL(str(libraries / "libnvrtc-builtins.so.12.6"), ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(str(libraries / "libnvrtc.so.12"))
    images = {f"{chip}.cubin": _compile(nvrtc, chip, include, "CUBIN") for chip in NVRTC_CHIPS}
    images[f"{PTX}.ptx"] = _compile(nvrtc, PTX, include, "PTX").rstrip(b"\0")
    with tempfile.TemporaryDirectory() as folder:
        for chip in NVCC_CHIPS:
            target = Path(folder) / f"{chip}.cubin"
            command = [
                "nvcc",
                "-cubin",
                f"-arch={chip}",
                "-std=c++17",
                "-o",
                str(target),
                str(SOURCE),
            ]
            subprocess.run(command, check=True)
            images[target.name] = target.read_bytes()
    images[STAMP] = hashlib.sha256(SOURCE.read_bytes()).hexdigest().encode()
    with zipfile.ZipFile(IMAGES, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in images.items():  # ZipInfo has a fixed date: the same in, the same out
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


def _compile(nvrtc: ctypes.CDLL, architecture: str, include: Path, kind: str) -> bytes:
    """Compile for ``sm_NN`` to CUBIN or for ``compute_NN`` to PTX."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    _check(
        nvrtc,
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), SOURCE.read_bytes(), SOURCE.name.encode(), 0, None, None
        ),
    )
    options = [f"--gpu-architecture={architecture}", "-std=c++17", f"-I{include}"]
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    code = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    if code != 0:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(log.value.decode())
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size)))
    image = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{kind}")(program, image))
    return image.raw


def _check(nvrtc: ctypes.CDLL, code: int) -> None:
    if code != 0:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        sys.exit(f"NVRTC: {nvrtc.nvrtcGetErrorString(code).decode()}")


if __name__ == "__main__":
    main()
