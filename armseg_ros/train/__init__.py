# SPDX-License-Identifier: Apache-2.0
"""Training and export of YOLOv5s-seg; the only part of the package that needs PyTorch."""
