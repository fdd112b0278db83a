# SPDX-License-Identifier: Apache-2.0
"""Flags for split and merged objects, judged without ground truth."""
