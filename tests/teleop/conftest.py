"""Fixtures for tests with a gamepad in a person's hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.teleop import JoyHand, TeleopStack


@pytest.fixture
def hand(graph: TeleopStack) -> Iterator[JoyHand]:
    """A hand at the module's graph, for one test."""
    hand = JoyHand(graph)
    yield hand
    hand.close()
    graph.stack.node.destroy_publisher(hand._pub)
