# SPDX-License-Identifier: Apache-2.0
"""Faults of data sets: leaks between splits, duplicates, labels that cannot be right."""
