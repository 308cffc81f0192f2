"""Commands that pages show and that need no running graph are run as they stand, page by page, in order."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from bringup.test_docs_commands import PAGES, ROOT, shown
from typer.testing import CliRunner

from armtune_bringup.cli import app
from armtune_policies.store.episode_copy import write_episode
from fixtures.episodes import made

NEED_NOTHING = (
    "calibrate board", "config permissions", "data check", "data edit", "data export", "data import datasets/drawer",
    "data ls", "data merge", "data publish", "export", "fault --list", "link write", "teleop --list", "token",
)  # fmt: skip
"""What they begin with."""


def commands(page: Path) -> list[str]:
    """Those of a page's blocks, and whole ones of its text that begin a story."""
    every = dict.fromkeys(command for kind, command in shown(page) if kind == "block" or command.endswith(".pdf"))
    return [one for one in every if one.startswith(tuple(f"{start} " for start in NEED_NOTHING)) or one in NEED_NOTHING]


PARTS = [(page, found) for page in PAGES if (found := [one for one in commands(page) if "..." not in one])]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runs and models that the pages speak of."""
    for run in ("shown", "monday", "tuesday"):
        for index in range(5):
            episode = made(index, run=run, cameras=("front",), size=96)
            write_episode(tmp_path / "runs" / run / "episodes", episode)
    shutil.copytree(ROOT / "policies/shipped/drawer", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "found"), PARTS, ids=[page.name for page, _ in PARTS])
def test_a_page_can_be_followed(page: Path, found: list[str], place: Path) -> None:
    for command in found:
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"{page.name}: armtune {command}\n{done.output}\n{done.exception}"


def test_some_pages_can_be_followed() -> None:
    assert {page.name for page, _ in PARTS} >= {"calibration.md", "data.md", "deploy.md", "jetson.md", "security.md"}
