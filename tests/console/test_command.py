"""``armtune token``: made, kept from others' eyes, and let in."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from armtune_bringup.cli import app
from armtune_console.access import Access, Role, read_tokens
from armtune_policies.contract import SteadyClock

pytestmark = pytest.mark.unhurried


def test_tokens_are_made_into_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path, made = tmp_path / "tokens.txt", {}
    for role in ("viewer", "operator"):
        done = CliRunner().invoke(app, ["token", role, str(path)])
        assert done.exit_code == 0, done.output
        made[role] = done.output.strip()
    assert path.stat().st_mode & 0o777 == 0o600
    access = Access(read_tokens(path), SteadyClock())
    assert access.role_of(made["viewer"]) is Role.VIEWER and access.role_of(made["operator"]) is Role.OPERATOR
    assert access.role_of(made["viewer"] + "x") is Role.NOBODY
