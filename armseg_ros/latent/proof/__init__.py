# SPDX-License-Identifier: Apache-2.0
"""Does choosing pay? ``python -m armseg_ros.latent.proof`` measures it on synthetic totes."""
