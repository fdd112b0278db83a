# SPDX-License-Identifier: Apache-2.0
"""Nodes under test, in a context of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from networks import write_network


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 64x64 network that finds one object in every picture."""
    return write_network(tmp_path_factory.mktemp("model") / "tiny.onnx")


class Graph:
    """Nodes of one context, turned by hand."""

    def __init__(self) -> None:
        rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._close: list[Callable[[], None]] = []

    def add(self, node: Any) -> Any:
        self.executor.add_node(node)
        if hasattr(node, "close"):
            self._close.append(node.close)
        return node

    def spin_until(self, done: Callable[[], Any], timeout_s: float = 30.0) -> Any:
        """Turn until ``done()`` is truthy, and return that."""
        end = time.monotonic() + timeout_s
        while not (result := done()):
            assert time.monotonic() < end, "nothing came in time"
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def close(self) -> None:
        for close in self._close:
            close()
        self.executor.shutdown()
        import rclpy

        rclpy.shutdown(context=self.context)


@pytest.fixture
def graph() -> Iterator[Graph]:
    made = Graph()
    yield made
    made.close()
