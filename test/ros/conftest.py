# SPDX-License-Identifier: Apache-2.0
"""Nodes under test, in a context of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 64x64 network that finds one object in every picture."""
    from networks import write_network  # skips where onnx is missing

    return write_network(tmp_path_factory.mktemp("model") / "tiny.onnx")


class Graph:
    """Nodes of one context, turned by hand."""

    def __init__(self) -> None:
        rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._nodes: list[Any] = []

    def add(self, node: Any) -> Any:
        self.executor.add_node(node)
        self._nodes.append(node)
        return node

    def spin_until(self, done: Callable[[], Any], timeout_s: float = 30.0) -> Any:
        """Turn until ``done()`` is truthy, and return that."""
        end = time.monotonic() + timeout_s
        while not (result := done()):
            assert time.monotonic() < end, "nothing came in time"
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def close(self) -> None:
        self.executor.shutdown()
        for node in self._nodes:
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()  # Jazzy's shutdown leaves it in the graph
        import rclpy

        rclpy.shutdown(context=self.context)


@pytest.fixture
def graph() -> Iterator[Graph]:
    made = Graph()
    yield made
    made.close()
