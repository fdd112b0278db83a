# SPDX-License-Identifier: Apache-2.0
"""The explorer: one offline page that shows the latent space and lets people choose from it."""
