# SPDX-License-Identifier: Apache-2.0
"""Instance segmentation of warehouse totes for ROS 2, with flags for split and merged masks."""

import os
import pkgutil

# ONNX Runtime 1.32 reports its use to Microsoft, on Linux too, unless this is set before it is
# imported; who wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The messages are generated into the installed package: extending the search path lets modules
# come from a source tree while ``armseg_ros.msg`` comes from the installed copy.
__path__ = pkgutil.extend_path(__path__, __name__)
