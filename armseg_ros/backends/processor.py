# SPDX-License-Identifier: Apache-2.0
"""What this processor is good at."""

from __future__ import annotations

import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Instructions that multiply and add int8 without saturating: x86, then ARM.
INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def computes_int8_fast() -> bool:
    """Tell whether int8 pays here; without such instructions it is no faster, and less exact."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return any(INT8_FLAGS.intersection(line.split()) for line in lines)
