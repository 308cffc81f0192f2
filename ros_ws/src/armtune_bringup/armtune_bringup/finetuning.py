"""Practice of a pre-trained agent in our simulator, in one process, measured before and after on held-out scenes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_policies.contract import ConfigError, contract_digest, digest
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import load_manifest

from .agents import Learning, OnStep, Say, encoder_for, exported, gathered, keep, made, started_log
from .arena import SimArena
from .runs import begin
from .settings import Config
from .stages import EVALUATION_SEED, evaluate_policy, make_env

WINDOW = 20
"""Episodes that the logged success is a mean of."""
COUNTED = ("episodes", "updates", "successes_forward", "successes_backward", "forced")

if TYPE_CHECKING:
    from armtune_policies.learn.finetune import Counts, Practice, PracticeParams
    from armtune_policies.learn.logs import Log
    from armtune_policies.learn.offline import OfflineParams
    from armtune_policies.learn.settings import AgentParams


def finetune_agent(
    learning: Learning,
    demos: Path,
    prior: Path | None,
    on_step: OnStep = lambda what, done, total: None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Practise ``policy.folder``'s agent by true reward; a run of the same name goes on where it was killed.

    The run's folder gets the checkpoint with its episodes (``practice``), the policy it ends with
    (``models/policy``), both measurements (``evaluation``), and what came of it (``result.json``, ``curve.png``).

    Args:
        learning: Config and settings; the agent's are those it was trained with, but for what they change.
        demos: What the agent was trained on.
        prior: The same; None for none.
        on_step: Told of the progress.
        say: Told the sets of data and their weights, before practice.

    Returns:
        What was done, as one JSON object can say it.

    Raises:
        ValueError: when the agent's training is not there, or of other data or settings.
    """
    from armtune_policies.learn.finetune import Practice
    from armtune_policies.learn.replay import Replay
    from armtune_policies.learn.tally import table, tally
    from armtune_policies.learn.trained import restore
    from armtune_policies.learn.tutor import Tutor

    config, policy = learning.config, learning.config.policy
    params, practised, shaken = _params(learning)
    frozen = encoder_for(config, params, Path(policy.folder))
    data = gathered(config, shaken, demos, prior, frozen, on_step)
    agent, offline, embeddings = made(data, params, config.experiment.seed)
    pretrained, data = restore(agent, data, Path(policy.folder), config.experiment.seed), data.without_images()
    run = Path(begin(config).run_folder)
    before = _measured(config, Path(policy.folder), run / "evaluation" / "before.json", on_step)
    online = Replay(practised.rows, offline.shape, params)
    say(table(tally(data.trajectories), offline.nbytes + online.nbytes))
    arena = SimArena(make_env(config, for_policy=True), frozen, data.grasps, practised.carries)
    key, tutor = _digest(pretrained, params, practised, policy.grip_steps), Tutor(data.trajectories, arena.scale)
    try:
        practice = Practice(agent, offline, online, arena, practised, run / "practice", key, tutor)
        resumed, start = practice.counts.episodes, practice.counts.steps
        with started_log(learning, practice.folder or run, f"practice-{run.name}", key, start, params) as log:
            counts = practice.run(_told(practice, log, on_step))
    finally:
        arena.env.close()
    folder = run / "models" / "policy"
    manifest = exported(folder, agent, frozen, embeddings, config, data.digest, shaken)
    after = _measured(config, folder, run / "evaluation" / f"after-{counts.steps}.json", on_step)
    result = {
        "recipe": params.recipe, "before": before, "after": after, "n": config.experiment.evaluations,
        "first_seed": EVALUATION_SEED, **asdict(counts), "resumed_from": resumed, "skipped": agent.safeguard.skipped,
        "replay_mb": round((offline.nbytes + online.nbytes) / 1e6, 2), "policy": manifest.version, "folder": str(run),
    }  # fmt: skip
    keep(run, result, log, "control steps")
    return result


def _told(practice: Practice, log: Log, on_step: OnStep) -> Callable[[Counts, bool], None]:
    """Return what hears of each episode, and logs it and the losses of the last update."""
    recent: deque[bool] = deque(maxlen=WINDOW)

    def told(counts: Counts, is_success: bool) -> None:
        recent.append(is_success)
        log.write(counts.steps, {
            f"practice/success of last {WINDOW}": sum(recent) / len(recent),
            **{f"practice/{name}": float(getattr(counts, name)) for name in COUNTED},
            **{f"loss/{name}": float(value) for name, value in practice.losses.items()},
        })  # fmt: skip
        on_step("practising", min(counts.steps, practice.params.steps), practice.params.steps)

    return told


def _params(learning: Learning) -> tuple[AgentParams, PracticeParams, OfflineParams]:
    """Return the settings of ``policy.folder``'s agent and of its training, but for what the overrides change.

    A GPU that is not there is refused here, before anything is read.
    """
    from armtune_policies.learn.crew import device_of
    from armtune_policies.learn.finetune import PracticeParams
    from armtune_policies.learn.trained import trained

    config, policy = learning.config, learning.config.policy
    manifest = load_manifest(Path(policy.folder), contract_digest(policy.action, policy.observation))
    was = trained(manifest, Path(policy.folder), learning.agent, learning.offline)
    if learning.recipe not in ("", was.agent.recipe):
        raise ConfigError(f"agent: the policy was trained by {was.agent.recipe}, got {learning.recipe!r}")
    device_of(was.agent.device)
    task = config.task
    theirs = {**task.practised, "seed": config.experiment.seed}
    return was.agent, PracticeParams.from_mapping({**theirs, **learning.practice}), was.offline


def _digest(pretrained: str, params: AgentParams, practised: PracticeParams, grip_steps: int) -> str:
    """Name a practice; a longer one is the same, gone on with."""
    from armtune_policies.learn.settings import named_by

    settings = practised.named
    del settings["steps"]
    if not settings["scatter"]:  # a practice that was begun before there was one goes on
        del settings["scatter"]
    return digest([pretrained, named_by(params), settings, grip_steps])


def _measured(config: Config, folder: Path, kept: Path, on_step: OnStep) -> dict[str, Any]:
    """Return a policy's success by direction on held-out scenes; what was measured already is read."""
    policy = Policy.load(folder, config.policy.action, config.policy.observation)
    by = {"policy": policy.version, "grip_steps": config.policy.grip_steps}
    if kept.is_file() and by.items() <= (found := read_json(kept)).items():
        return found["success"]
    total, done = 2 * config.experiment.evaluations, []

    def told(seed: int, is_success: bool) -> None:
        done.append(seed)
        on_step(f"evaluating {kept.stem}", len(done), total)

    rates = evaluate_policy(config, policy, on_episode=told)
    success: dict[str, Any] = {
        way: {"successes": r.successes, "n": r.count, "ci95": [r.low, r.high]} for way, r in rates.items()
    }
    write_json(kept, {**by, "success": success})
    return success
