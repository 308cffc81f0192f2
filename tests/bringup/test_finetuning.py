"""Practice in one process: the gate's answer is what is learnt from; a run goes on where it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from armtune_bringup.agents import Learning, pretrain_agent, read_overrides
from armtune_bringup.compose import compose
from armtune_bringup.finetuning import finetune_agent
from armtune_bringup.stages import EVALUATION_SEED, collect_demos
from armtune_policies.contract import ConfigError
from armtune_policies.learn.saved import load_trajectory
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import load_manifest
from fixtures.tiny_models import tiny_policy

CONFIG = [
    "experiment.demos=1", "experiment.failures=0", "experiment.evaluations=1", "task.episode_steps=8",
    "policy.height_px=32", "policy.width_px=32",
]  # fmt: skip
SMALL = ["agent.batch=8", "agent.hidden=[8,8]", "agent.critics=2", "agent.cql_actions=2"]


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    collect_demos(compose(CONFIG), folder, "demos")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, demos: Path) -> Path:
    folder, config = tmp_path_factory.mktemp("models"), compose(CONFIG)
    base = tiny_policy(folder / "encoder", config.policy.action, config.policy.observation)
    first = read_overrides([*CONFIG, *SMALL, "agent=calql", "offline.updates=2", f"policy.folder={folder / 'calql'}"])
    pretrain_agent(first, demos, None, base)
    return folder / "calql"


def learning(folder: Path, policy: Path, *more: str) -> Learning:
    named = [f"experiment.folder={folder}", "experiment.name=one", f"policy.folder={policy}"]
    return read_overrides([*CONFIG, *named, "practice.checkpoint_every=1", *more])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match="device: expected cpu, or cuda with a GPU for each process; got cuda"):
        finetune_agent(learning(tmp_path, trained, "agent.device=cuda"), tmp_path / "none", None)


def test_a_run_is_measured_before_and_after_and_goes_on_where_it_was(
    tmp_path: Path, demos: Path, trained: Path
) -> None:
    first = finetune_agent(learning(tmp_path, trained, "practice.steps=9"), demos, None)
    assert first["steps"] >= 9 and first["updates"] == first["steps"] and first["recipe"] == "calql"
    assert (first["n"], first["first_seed"], first["resumed_from"]) == (1, EVALUATION_SEED, 0)
    assert first["before"]["forward"]["n"] == first["after"]["backward"]["n"] == 1
    told: list[str] = []
    more = learning(tmp_path, trained, "practice.steps=18")
    second = finetune_agent(more, demos, None, lambda what, done, total: told.append(what))
    assert second["resumed_from"] == first["episodes"] and second["steps"] >= 18
    assert second["before"] == first["before"] and "evaluating before" not in told and "practising" in told
    assert json.loads(json.dumps(second)) == second
    config = compose(CONFIG)
    policy = Policy.load(tmp_path / "one/models/policy", config.policy.action, config.policy.observation)
    assert policy.version == second["policy"] != first["policy"]


def test_other_settings_are_another_practice(tmp_path: Path, demos: Path, trained: Path) -> None:
    finetune_agent(learning(tmp_path, trained, "practice.steps=1"), demos, None)
    with pytest.raises(ValueError, match="use another folder, or the same data and settings"):
        finetune_agent(learning(tmp_path, trained, "practice.steps=1", "agent.utd=2"), demos, None)


def test_a_policy_that_is_no_agents_or_of_another_recipe_is_refused(tmp_path: Path, demos: Path, trained: Path) -> None:
    cloned = trained.parent / "encoder"
    with pytest.raises(ConfigError, match="is no agent's; train one: armtune pretrain <demos> agent=calql"):
        finetune_agent(learning(tmp_path, cloned), demos, None)
    with pytest.raises(ConfigError, match="agent: the policy was trained by calql, got 'iql'"):
        finetune_agent(learning(tmp_path, trained, "agent=iql"), demos, None)
    for other in ("agent.gamma=0.9", "agent.pixels=drq"):
        with pytest.raises(ValueError, match="this one is"):
            finetune_agent(learning(tmp_path, trained, other), demos, None)
    assert list(tmp_path.iterdir()) == []


def test_an_agent_from_pixels_practises_on_images_and_keeps_them(tmp_path: Path, demos: Path) -> None:
    see = [f"policy.folder={tmp_path / 'calql'}", "agent=calql", "agent.pixels=drq", "agent.projection=16"]
    before = pretrain_agent(read_overrides([*CONFIG, *SMALL, *see, "offline.updates=2"]), demos, None, None)
    done = finetune_agent(learning(tmp_path, tmp_path / "calql", "practice.steps=9"), demos, None)
    assert done["steps"] >= 9 and done["updates"] == done["steps"] and done["after"]["forward"]["n"] == 1
    assert done["replay_mb"] >= (before["transitions"] + done["steps"]) * 32 * 32 * 3 / 1e6
    episode = load_trajectory(tmp_path / "one/practice/episodes/000000.safetensors")
    assert {name: frames.shape[1:] for name, frames in episode.images.items()} == {"front": (32, 32, 3)}
    config = compose(CONFIG)
    policy = Policy.load(tmp_path / "one/models/policy", config.policy.action, config.policy.observation)
    assert policy.version == done["policy"] and policy.manifest.feature_size == 16
    assert policy.manifest.provenance["agent"]["pixels"] == "drq"
    assert policy.encoder_digest != load_manifest(tmp_path / "calql").encoder_digest  # practice trained it
