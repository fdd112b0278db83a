# SPDX-License-Identifier: Apache-2.0
"""The process that builds: what kills it, such as the lack of memory, takes nothing else along.

Run as ``python -m armseg_ros.backends.tensorrt.build_process FOLDER``. FOLDER has ``request.json``
and ``model.onnx`` and receives ``plan``, ``timing``. Standard input is a pipe from the parent: its
end, also by the parent's death, cancels the build. Standard output has a JSON object a line.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from armseg_ros.backends.tensorrt.builder import BuildRequest, build
from armseg_ros.errors import BackendError

FAILED = 2
PATIENCE_S = 10.0  # a single tactic can take long, and the builder asks only between them
REPORT_STEP = 0.01


def main(folder: Path) -> int:
    """Build what the folder asks for; 0, or 2 with a line that holds the reason."""
    cancelled = threading.Event()
    threading.Thread(target=_watch_parent, args=(cancelled,), daemon=True).start()
    settings = json.loads((folder / "request.json").read_text())
    request = BuildRequest(
        onnx=(folder / "model.onnx").read_bytes(),
        network_hw=tuple(settings["network_hw"]),
        workspace_bytes=settings["workspace_bytes"],
        optimization_level=settings["optimization_level"],
        timing_cache=(folder / "timing").read_bytes() if (folder / "timing").exists() else b"",
    )
    last = -1.0

    def report(fraction: float) -> None:
        nonlocal last
        if fraction >= last + REPORT_STEP:
            last = fraction
            _say({"fraction": round(fraction, 3)})

    try:
        api = importlib.import_module(settings["api"])
        built = build(api, request, report, cancelled.is_set)
        (folder / "plan").write_bytes(built.plan)
        (folder / "timing").write_bytes(built.timing_cache)
    except (BackendError, ImportError, OSError) as error:
        _say({"error": " ".join(str(error).split())})
        return FAILED
    _say({"fraction": 1.0})
    return 0


def _watch_parent(cancelled: threading.Event) -> None:
    """Wait for the end of standard input; a builder that does not heed it is ended."""
    while os.read(0, 1024):
        pass
    cancelled.set()
    time.sleep(PATIENCE_S)
    os._exit(FAILED)


def _say(line: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # the watching thread sits in a read, and CUDA's exit handlers can hang
