# SPDX-License-Identifier: Apache-2.0
"""Looks for a driver, a GPU, TensorRT and pycuda, and prints one JSON line for each.

Run as a process of its own (``python -m armseg_ros.backends.tensorrt.probe``): a broken driver or a
library of another CUDA version can end the process that loads it, and that must be this one.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

DRIVER_LIBRARY = "libcuda.so.1"
# Attributes of cuDeviceGetAttribute, from cuda.h.
MULTIPROCESSOR_COUNT, INTEGRATED, MAJOR, MINOR = 16, 18, 75, 76


def main() -> None:
    """Print what is found, the driver first; each line is flushed before the next look."""
    _say("driver", _driver)
    _say("tensorrt", _tensorrt)
    _say("pycuda", _pycuda)


def _say(stage: str, look: Any) -> None:
    _write({"stage": stage, "begin": True})
    try:
        found = look()
    except ModuleNotFoundError as error:
        found = {"error": f"the Python package {error.name} is not there"}
    except Exception as error:  # noqa: BLE001 - whatever an import of a foreign library raises
        found = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    _write({"stage": stage, **found})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _driver() -> dict[str, Any]:
    try:
        library = ctypes.CDLL(DRIVER_LIBRARY)
    except OSError as error:
        reason = str(error).removeprefix(f"{DRIVER_LIBRARY}: ")
        return {"error": f"{DRIVER_LIBRARY} cannot be loaded ({reason})"}
    if (code := library.cuInit(0)) != 0:
        return {"error": f"cuInit failed with {_error_name(library, code)}"}
    version, count = ctypes.c_int(), ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    library.cuDeviceGetCount(ctypes.byref(count))
    found: dict[str, Any] = {"version": version.value, "count": count.value}
    if count.value > 0:
        found["device"] = _device(library)
    return found


def _device(library: ctypes.CDLL) -> dict[str, Any]:
    """Describe the first device; memory in bytes."""
    device = ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        library.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    total, free = ctypes.c_size_t(), ctypes.c_size_t()
    library.cuDeviceTotalMem_v2(ctypes.byref(total), device)
    context = ctypes.c_void_p()
    if library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0:
        library.cuCtxSetCurrent(context)
        library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        library.cuCtxSetCurrent(None)
        library.cuDevicePrimaryCtxRelease_v2(device)
    return {
        "name": name.value.decode(errors="replace"),
        "compute_capability": [attribute(MAJOR), attribute(MINOR)],
        "multiprocessors": attribute(MULTIPROCESSOR_COUNT),
        "integrated": bool(attribute(INTEGRATED)),
        "memory_total": total.value,
        "memory_free": free.value,
    }


def _error_name(library: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    if library.cuGetErrorName(code, ctypes.byref(name)) == 0 and name.value:
        return f"{name.value.decode()} ({code})"
    return f"error {code}"


def _tensorrt() -> dict[str, Any]:
    import tensorrt

    return {"version": str(tensorrt.__version__)}


def _pycuda() -> dict[str, Any]:
    import pycuda
    import pycuda.driver

    header = ".".join(str(part) for part in pycuda.driver.get_version())
    return {"version": str(pycuda.VERSION_TEXT), "built_for_cuda": header}


if __name__ == "__main__":
    main()
