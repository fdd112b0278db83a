# SPDX-License-Identifier: Apache-2.0
"""Pages to look at a run: plain files that open without a server and without a network."""
