"""Fixtures every test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Real node processes on a domain of their own, ended with the test."""
    with Stack(tmp_path) as running:
        yield running
