"""The agent on our simulator's episodes: settings beside the config, offline training that goes on where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from armtune_bringup.agents import Learning, encoder_for, gathered, pretrain_agent, read_overrides, training_folder
from armtune_bringup.compose import compose
from armtune_bringup.stages import collect_demos
from armtune_policies.contract import ConfigError
from armtune_policies.learn.kept import kept_data
from armtune_policies.learn.logs import CURVE
from armtune_policies.learn.offline import OfflineParams
from armtune_policies.learn.saved import COLUMNS
from armtune_policies.learn.settings import recipe_params
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import load_manifest
from fixtures.tiny_models import tiny_policy

FEW = [
    "experiment.demos=1",
    "experiment.failures=1",
    "task.episode_steps=8",
    "policy.height_px=32",
    "policy.width_px=32",
]
SMALL = ["agent.batch=8", "agent.hidden=[8,8]", "agent.critics=2", "agent.cql_actions=2"]


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    collect_demos(compose(FEW), folder, "demos")
    return folder


def learning(folder: Path, *more: str) -> Learning:
    return read_overrides([*FEW, *SMALL, "agent=calql", f"policy.folder={folder}", *more])


def encoder(folder: Path) -> Path:
    config = compose(FEW)
    return tiny_policy(folder / "encoder", config.policy.action, config.policy.observation)


def test_the_agents_settings_stand_beside_the_config() -> None:
    said = ["task=lid", "agent=iql", "agent.hidden=[64,64]", "agent.tau=5e-3", "offline.updates=7", "practice.steps=3"]
    found = read_overrides(said)
    assert (found.config.task.name, found.recipe) == ("lid", "iql")
    assert (found.agent, found.offline, found.practice) == (
        {"hidden": [64, 64], "tau": 0.005}, {"updates": 7}, {"steps": 3},
    )  # fmt: skip


@pytest.mark.parametrize(("override", "says"), [
    ("offline=7", "override 'offline=7': expected offline.<setting>=value"),
    ("agent.batch={", "expected a number, a word or a list"),
    ("agents=calql", "unknown group 'agents'"),
])  # fmt: skip
def test_a_bad_override_is_refused_by_name(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_overrides([override])


def test_an_unknown_recipe_or_setting_is_refused(tmp_path: Path, demos: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe: expected one of bc, calql, .*; got 'calq'"):
        pretrain_agent(read_overrides(["agent=calq"]), demos, None, tmp_path)
    with pytest.raises(ConfigError, match="OfflineParams: unknown key 'update'; known: checkpoint_every, copies"):
        pretrain_agent(learning(tmp_path / "p", "offline.update=3"), demos, None, tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device: expected cpu, or cuda with a GPU for each process; got cuda"):
        pretrain_agent(learning(tmp_path / "p", "agent.device=cuda"), tmp_path / "none", None, None)


def test_what_it_learnt_from_is_kept_beside_its_training(tmp_path: Path, demos: Path) -> None:
    base, one = encoder(tmp_path), learning(tmp_path / "p", "offline.updates=1")
    pretrain_agent(one, demos, None, base)
    provenance = load_manifest(tmp_path / "p").provenance
    assert "device" not in provenance["agent"]  # where it was trained is no matter of where it goes
    kept = kept_data(training_folder(tmp_path / "p"), provenance["data"])
    frozen = encoder_for(one.config, recipe_params("calql"), base)
    shown = gathered(one.config, OfflineParams(), demos, None, frozen, lambda what, done, total: None)
    assert (kept.sentences, kept.episodes, kept.successes) == (shown.sentences, shown.episodes, shown.successes)
    assert len(kept.trajectories) == len(shown.trajectories) == 4 * (1 + OfflineParams().copies)
    for ours, theirs in zip(kept.trajectories, shown.trajectories):
        assert (ours.sentence, ours.imitate, ours.group, ours.weight) == (
            theirs.sentence, theirs.imitate, theirs.group, theirs.weight)  # fmt: skip
        assert all(np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in COLUMNS)


def test_training_goes_on_where_it_was_and_ends_in_the_same_policy(tmp_path: Path, demos: Path) -> None:
    base, seen = encoder(tmp_path), set()
    straight = pretrain_agent(learning(tmp_path / "a", "offline.updates=4"), demos, None, base)
    first = pretrain_agent(learning(tmp_path / "b", "offline.updates=2"), demos, None, base)
    second = pretrain_agent(
        learning(tmp_path / "b", "offline.updates=4"), demos, None, base, lambda what, done, total: seen.add(what)
    )
    assert (first["updates"], second["resumed_from"], second["updates"]) == (2, 2, 4)
    assert second["policy"] == straight["policy"] != first["policy"]
    assert seen == {"reading episodes", "learning"}
    assert second["episodes"] == 4 and second["transitions"] >= 8 * 2 and json.loads(json.dumps(second)) == second
    config = compose(FEW)
    policy = Policy.load(tmp_path / "b", config.policy.action, config.policy.observation)
    assert policy.encoder_digest == load_manifest(base).encoder_digest
    assert policy.manifest.provenance["agent"]["recipe"] == "calql"


@pytest.mark.slow
def test_two_processes_under_torchrun_log_the_losses_of_one(tmp_path: Path, demos: Path) -> None:
    base, few = encoder(tmp_path), ("offline.updates=20", "offline.copies=0")
    one, two = tmp_path / "one", tmp_path / "two"
    pretrain_agent(learning(one, *few), demos, None, base)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "armtune_bringup.cli", "pretrain", str(demos), *FEW, *SMALL, "agent=calql", *few]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += [f"policy.folder={two}", "--encoder", str(base)]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found["processes"], found["updates"], found["episodes"]) == (2, 20, 4)
    ours, theirs = (dict(read_json(training_folder(folder) / CURVE)["rows"]) for folder in (one, two))
    # float32 adds up in another order: 3e-7 of a loss at the first update. The actor's passes through zero on its way.
    assert set(ours) == {20} and theirs[20] == pytest.approx(ours[20], rel=1e-5, abs=1e-5)


def test_shaken_copies_are_more_rows_of_the_same_episodes(tmp_path: Path, demos: Path) -> None:
    base = encoder(tmp_path)
    plain = pretrain_agent(learning(tmp_path / "a", "offline.updates=1", "offline.copies=0"), demos, None, base)
    shaken = pretrain_agent(learning(tmp_path / "b", "offline.updates=1", "offline.copies=2"), demos, None, base)
    assert shaken["transitions"] == 3 * plain["transitions"] and shaken["episodes"] == plain["episodes"] == 4


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, demos: Path) -> None:
    base = encoder(tmp_path)
    pretrain_agent(learning(tmp_path / "a", "offline.updates=1"), demos, None, base)
    assert (training_folder(tmp_path / "a") / "checkpoint.json").is_file()
    with pytest.raises(ValueError, match="use another folder, or the same data and settings"):
        pretrain_agent(learning(tmp_path / "a", "offline.updates=1", "agent.gamma=0.9"), demos, None, base)


def test_an_agent_learns_from_pixels_without_an_encoder(tmp_path: Path, demos: Path) -> None:
    see = ["agent.pixels=drq", "agent.projection=16", "offline.updates=2"]
    done = pretrain_agent(learning(tmp_path / "p", *see), demos, None, None)
    assert done["transitions"] >= 8 * 2 and done["replay_mb"] >= done["transitions"] * 32 * 32 * 3 / 1e6
    config = compose(FEW)
    policy = Policy.load(tmp_path / "p", config.policy.action, config.policy.observation)
    assert policy.manifest.feature_size == 16 and policy.encoder_digest
    with pytest.raises(
        ConfigError, match=r"encoder: expected the folder of one, or agent.pixels=small or drq; got none"
    ):
        pretrain_agent(learning(tmp_path / "q"), demos, None, None)
