from __future__ import annotations

from pathlib import Path

import pytest

from armtune_policies.contract.paths import config_root


def test_the_named_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("")
    monkeypatch.setenv("ARMTUNE_CONFIGS", str(tmp_path))
    assert config_root() == tmp_path


def test_a_named_folder_without_configs_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMTUNE_CONFIGS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="set ARMTUNE_CONFIGS"):
        config_root()


def test_the_installed_or_checked_out_configs_are_found() -> None:
    assert (config_root() / "robot").is_dir()
