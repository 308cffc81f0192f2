"""An encoder is fitted once to the same episodes, settings and seed; one made of a vision model is learnt on, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from armtune_bringup.agents import gathered
from armtune_bringup.cli import app
from armtune_bringup.compose import compose
from armtune_bringup.encoding import encoder_of
from armtune_bringup.stages import collect_demos
from armtune_policies.contract import ConfigError
from armtune_policies.learn.encoders import EncoderParams
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.offline import OfflineParams
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import MANIFEST
from fixtures import tiny_vision

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
    encoder = FrozenEncoder(folder, config.policy.action, config.policy.observation)
    assert encoder.feature_size == 3 * EncoderParams().colours
    written = (folder / MANIFEST).stat().st_mtime_ns
    assert encoder_of(config, tmp_path, may_fit=False) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="that is there already"):
        encoder_of(compose([*FEW, "experiment.seed=1"]), tmp_path, may_fit=False)


def test_a_folder_without_episodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episodes to learn from; collect some: armtune collect"):
        encoder_of(compose(FEW), tmp_path)


def said(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return json.loads(done.output.splitlines()[-1])


def test_an_agent_learns_on_a_vision_model_of_ones_own_and_acts(tmp_path: Path) -> None:
    config, eyes, demos = compose(FEW), tmp_path / "eyes", tmp_path / "demos"
    collect_demos(config, demos, "demos")
    source = tiny_vision.dinov2(tmp_path / "dinov2")
    found = said("encoder", source, eyes, *FEW, "--on", demos, "--licence", "MIT")
    assert (found["features"], found["size_px"], found["source"]) == (16, 28, "dinov2")
    assert found["pictures"] > 100 and found["off_by"] <= 1e-4 and found["p50_ms"] > 0.0
    small = ["agent.batch=8", "agent.hidden=[8,8]", "agent.critics=2", "agent.cql_actions=2", "offline.updates=3"]
    words = ["pretrain", demos, *FEW, *small, "agent=calql", "--encoder", eyes]
    assert said(*words, f"policy.folder={tmp_path / 'a'}")["updates"] == 3
    action, seen = config.policy.action, config.policy.observation
    policy, frozen = Policy.load(tmp_path / "a", action, seen), FrozenEncoder(eyes, action, seen)
    assert policy.encoder_digest == frozen.digest and policy.manifest.licence == "MIT"
    kept = {file: file.stat().st_mtime_ns for file in (demos / "features").iterdir()}
    again = gathered(config, OfflineParams(), demos, None, frozen, lambda what, done, total: None)
    assert kept == {file: file.stat().st_mtime_ns for file in (demos / "features").iterdir()}, "encoded once"
    assert len(kept) == 2 and again.digest == policy.manifest.provenance["data"]
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    features = policy.features({"front": image})
    np.testing.assert_allclose(features, frozen.features({"front": image[None]})[0], atol=1e-5)
    proposed = policy.propose(features, np.zeros(7), config.task.sentence("forward"))
    assert np.all(np.abs(proposed) <= np.maximum(np.abs(action.low), np.abs(action.high))) and np.any(proposed)


def test_a_run_of_other_pictures_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    collect_demos(compose(FEW), tmp_path / "demos", "demos")
    tiny_vision.cnn(tmp_path / "m" / "net.onnx")
    done = CliRunner().invoke(
        app, ["encoder", str(tmp_path / "m/net.onnx"), str(tmp_path / "eyes"), "--on", str(tmp_path / "demos")]
    )
    assert isinstance(done.exception, ConfigError) and "of 96x96 pixels, got 32x32" in str(done.exception)
    assert not (tmp_path / "eyes").exists()
