"""An encoder is fitted once to the same episodes, settings and seed, and again when one of them changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.encoding import encoder_of
from armtune_bringup.stages import collect_demos
from armtune_policies.contract import ConfigError
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.store.manifest import MANIFEST

FEW = [
    "experiment.demos=1",
    "experiment.failures=0",
    "task.episode_steps=6",
    "policy.height_px=32",
    "policy.width_px=32",
]


def test_it_is_fitted_once_and_named_by_what_it_is_of(tmp_path: Path) -> None:
    config, told = compose(FEW), set()
    collect_demos(config, tmp_path, "demos")
    with pytest.raises(ConfigError, match="several processes need an encoder that is there already"):
        encoder_of(config, tmp_path, may_fit=False)
    folder = encoder_of(config, tmp_path, lambda what, done, total: told.add((done, total)))
    assert folder.parent == tmp_path / "models" and told == {(1, 2), (2, 2)}
    assert FrozenEncoder(folder, config.policy.action, config.policy.observation).feature_size == 96
    written = (folder / MANIFEST).stat().st_mtime_ns
    assert encoder_of(config, tmp_path, may_fit=False) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="that is there already"):
        encoder_of(compose([*FEW, "experiment.seed=1"]), tmp_path, may_fit=False)


def test_a_folder_without_episodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episodes to learn from; collect some: armtune collect"):
        encoder_of(compose(FEW), tmp_path)
