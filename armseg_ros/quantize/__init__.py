# SPDX-License-Identifier: Apache-2.0
"""A float model in, an int8 model out, calibrated on pictures."""
