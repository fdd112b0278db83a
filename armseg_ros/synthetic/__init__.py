# SPDX-License-Identifier: Apache-2.0
"""Procedural mixed-object totes with exact instance masks; see docs/synthetic.md."""

from armseg_ros.synthetic.render import ToteImage, render_tote
from armseg_ros.synthetic.splits import parse_split
from armseg_ros.synthetic.write import write_coco

__all__ = ["ToteImage", "parse_split", "render_tote", "write_coco"]
