# SPDX-License-Identifier: Apache-2.0
"""How many threads the small matrix products of NumPy get: one.

The products behind the masks take a millisecond. Waking a second thread for them gains nothing on
an idle machine and costs ten times the work on a busy one, as a pick cell is.
"""

import os


def use_one_blas_thread() -> None:
    """Set it for this process, unless the user has; call it before NumPy is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
