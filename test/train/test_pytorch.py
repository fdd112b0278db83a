# SPDX-License-Identifier: Apache-2.0
"""Says in the test report whether the tests of training ran."""

import pytest


def test_pytorch_is_installed():
    pytest.importorskip("torch", reason="PyTorch is not installed: no test of training ran")
