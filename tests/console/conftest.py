"""Consoles that are served without a graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from armtune_console.access import read_tokens
from fixtures.console import OPERATOR, VIEWER, Served, serve, write_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_run(folder, "first", "st")
    (folder / "secret.txt").write_text("nobody reads this")
    return folder


@pytest.fixture(scope="module")
def local(root: Path) -> Iterator[Served]:
    """A console for this machine, without tokens."""
    with serve(root) as served:
        yield served


@pytest.fixture(scope="module")
def locked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console that asks for tokens."""
    path = tmp_path_factory.mktemp("locked") / "tokens"
    path.write_text(f"viewer {VIEWER}\noperator {OPERATOR}\n")
    path.chmod(0o600)
    with serve(root, read_tokens(path)) as served:
        yield served
