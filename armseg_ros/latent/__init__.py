# SPDX-License-Identifier: Apache-2.0
"""The latent space of a model: which pictures look alike to it, and what to do about them."""
