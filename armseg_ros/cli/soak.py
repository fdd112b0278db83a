# SPDX-License-Identifier: Apache-2.0
"""Run the node for minutes or hours with images as fast as it takes them, and with faults.

Broken images, wrong encodings, changes of size, parameters, models, viewers and states, a camera
that comes and goes. Exits with 1 where a promise was not kept: the node died, an image was neither
answered nor counted as dropped with its reason, or memory grew.
"""

from __future__ import annotations

import argparse
import os
import sys

HELP = "run the node for long with faults; exit 1 where it leaks, forgets or dies"
DOMAIN_IDS = range(60, 100)  # where ROS_DOMAIN_ID is not set: one that hardly anybody uses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``armseg soak``."""
    parser.add_argument("--minutes", type=float, default=20.0, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="of every choice")
    parser.add_argument("--model", help="ONNX file (default: the shipped one)")
    parser.add_argument("--backend", default="onnxruntime", help="inference engine")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the engine")


def run(args: argparse.Namespace) -> int:
    """Soak a node; 1 where it did not keep a promise."""
    from armseg_ros.config import require_range
    from armseg_ros.errors import ConfigError
    from armseg_ros.evaluate.interrupt import stop_on_signal
    from armseg_ros.soak.verdict import broken_promises, report

    require_range("minutes", args.minutes, 0.0, 100_000.0)
    os.environ.setdefault("ROS_DOMAIN_ID", str(DOMAIN_IDS[os.getpid() % len(DOMAIN_IDS)]))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    try:
        from armseg_ros.ros.soak import SoakSettings, soak
    except ImportError as error:
        raise ConfigError(f"a soak needs ROS ({error}); see README.md") from error
    parameters = {"backend": args.backend, "threads": args.threads}
    settings = SoakSettings(
        args.minutes, args.seed, parameters | ({"model": args.model} if args.model else {})
    )
    with stop_on_signal() as stop:
        outcome, log = soak(settings, stop)
    promises = broken_promises(outcome)
    if "Traceback" in log:
        promises.append("the node wrote a traceback: " + log[log.index("Traceback") :][-1500:])
    print(report(outcome))
    for promise in promises:
        print(f"armseg soak: {promise}", file=sys.stderr)
    print("all promises kept" if not promises else f"{len(promises)} promises broken")
    return 1 if promises else 0
