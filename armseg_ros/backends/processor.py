# SPDX-License-Identifier: Apache-2.0
"""What this processor is good at."""

from __future__ import annotations

import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Instructions that multiply and add int8 without saturating: x86, then ARM.
INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def computes_int8_fast() -> bool:
    """Tell whether int8 pays here; without such instructions it is no faster, and less exact."""
    return bool(INT8_FLAGS & _flags())


def computes_bf16_fast() -> bool:
    """Tell whether bfloat16 pays here; without such instructions PyTorch emulates it, slowly."""
    return bool(BF16_FLAGS & _flags())


def _flags() -> set[str]:
    """Read the instruction sets of the processor; none where the system does not tell."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set().union(*(line.split() for line in lines))
