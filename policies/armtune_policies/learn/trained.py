"""Where an agent's offline training ended: what its policy folder and the checkpoint beside it say, to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError, digest
from armtune_policies.store.manifest import Manifest, training_folder

from .agent import Agent
from .offline import Offline, OfflineParams, training_digest
from .saved import load_training
from .settings import AgentParams


@dataclass(frozen=True)
class Trained:
    """How an agent was trained."""

    agent: AgentParams
    offline: OfflineParams
    seed: int


def trained(manifest: Manifest, folder: Path, agent: Mapping[str, Any], offline: Mapping[str, Any]) -> Trained:
    """Return the settings of a policy's agent and of its training, but for what ``agent`` and ``offline`` change.

    Raises:
        ConfigError: when the policy is no agent's.
    """
    theirs = manifest.provenance.get("agent")
    if not isinstance(theirs, dict):
        raise ConfigError(f"policy.folder: {folder} is no agent's; train one: armtune pretrain <demos> agent=calql")
    shaken = OfflineParams.from_mapping({**manifest.provenance.get("offline", {}), **offline})
    return Trained(AgentParams.from_mapping({**theirs, **agent}), shaken, int(manifest.provenance.get("seed", 0)))


def restore(agent: Agent, data: Offline, policy_folder: Path, seed: int) -> str:
    """Bring an agent to the end of its offline training; return that training's digest.

    Raises:
        ValueError: when its checkpoint is not there, or is of other data or settings.
    """
    named, folder = training_digest(data, agent.params, seed), training_folder(policy_folder)
    found = load_training(folder, named)
    if found is None:
        raise ValueError(f"{folder}: no checkpoint of the agent's training; run armtune pretrain to the same folder")
    agent.restore(found[0])
    return digest([named, agent.updates])
