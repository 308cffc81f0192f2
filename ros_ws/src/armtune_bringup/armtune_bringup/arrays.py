"""An agent trained on flat arrays: other people's data, whose states and actions are not our arm's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from armtune_policies.contract import digest, file_digest
from armtune_policies.datasets.hdf5 import MINARI

from .agents import Learning, OnStep, keep, started_log, training_folder


def pretrain_arrays(learning: Learning, path: Path, on_step: OnStep = lambda what, done, total: None) -> dict[str, Any]:
    """Train offline on a D4RL or Minari file; the same call goes on where it was killed.

    The agent stays in ``<policy.folder>.training``: no policy is exported, for it fits no robot's contract.

    Returns:
        What was done, as one JSON object can say it.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
    """
    from armtune_policies.learn.agent import Agent, Layout
    from armtune_policies.learn.arrays import read_arrays
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.offline import OfflineParams
    from armtune_policies.learn.pretrain import Pretraining, Report
    from armtune_policies.learn.replay import Replay, RowShape
    from armtune_policies.learn.settings import named_by, recipe_params

    config, offline = learning.config, OfflineParams.from_mapping(learning.offline)
    params, seed = recipe_params(learning.recipe, **learning.agent), config.experiment.seed
    found = read_arrays(path)
    size, actions = found[0].state.shape[1], found[0].action.shape[1]
    seed_everything(seed)
    agent, replay = (
        Agent(Layout(size, actions), params, seed),
        Replay(sum(map(len, found)), RowShape(size, actions), params),
    )
    for one in found:
        replay.add(one)
    agent.set_scale(*replay.spread())
    folder = training_folder(Path(config.policy.folder))
    file = path / MINARI if path.is_dir() else path
    named = digest([file_digest(file), named_by(params), seed])
    training = Pretraining(
        agent, replay, offline.updates, seed, folder, named, checkpoint_every=offline.checkpoint_every
    )
    resumed = agent.updates
    with started_log(learning, folder, f"pretrain-{path.stem}", named, resumed, params) as log:

        def report(at: Report) -> None:
            log.write(at.update, {f"loss/{name}": value for name, value in at.losses.items()})
            on_step("learning", at.update, at.updates)

        training.run(report)
    result = {
        "recipe": params.recipe, "updates": agent.updates, "resumed_from": resumed, "trajectories": len(found),
        "transitions": len(replay), "state": size, "action": actions, "folder": str(folder),
        "losses": {k: round(v, 4) for k, v in log.last("loss/").items()},
    }  # fmt: skip
    keep(folder, result, log, "updates")
    return result
