"""The agent on our simulator, in one process: offline training, then practice, measured before and after.

Its settings stand beside the config's: ``agent=calql agent.utd=2 offline.updates=5000
practice.steps=2000``; recipes are files of ``configs/learner/agent``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_policies.contract import DIRECTIONS, ConfigError
from armtune_policies.store.files import write_json, write_whole
from armtune_policies.store.manifest import training_folder as training_folder

from .compose import compose, config_hash, set_apart
from .settings import Config

if TYPE_CHECKING:
    from armtune_policies.learn.agent import Agent
    from armtune_policies.learn.bc import Embeddings
    from armtune_policies.learn.crew import Alone
    from armtune_policies.learn.frozen import FrozenEncoder
    from armtune_policies.learn.logs import Log
    from armtune_policies.learn.offline import Offline, OfflineParams
    from armtune_policies.learn.pretrain import Report
    from armtune_policies.learn.replay import Replay
    from armtune_policies.learn.settings import AgentParams
    from armtune_policies.store.manifest import Manifest

OnStep = Callable[[str, int, int], None]
"""Told what goes on, how far it is and how far it goes."""
Say = Callable[[str], None]
"""Told what a person wants to read before it goes on."""


@dataclass(frozen=True)
class Learning:
    """What the overrides say beside the config."""

    config: Config
    recipe: str
    """Blank where no override names one."""
    agent: dict[str, Any] = field(default_factory=dict)
    offline: dict[str, Any] = field(default_factory=dict)
    practice: dict[str, Any] = field(default_factory=dict)
    logs: dict[str, Any] = field(default_factory=dict)


def read_overrides(overrides: Sequence[str]) -> Learning:
    """Take the agent's settings out of the overrides and compose the rest.

    Raises:
        ConfigError: one sentence that names what is wrong.
    """
    groups, others = set_apart(overrides, "agent", "offline", "practice", "logs")
    recipe, rest = "", []
    for override in others:
        group, equals, value = override.partition("=")
        if not equals or group not in groups:
            rest.append(override)
        elif group == "agent":
            recipe = value
        else:
            raise ConfigError(f"override {override!r}: expected {group}.<setting>=value")
    return Learning(compose(rest), recipe, **groups)


def pretrain_agent(
    learning: Learning,
    demos: Path,
    prior: Path | None,
    encoder: Path | None,
    on_step: OnStep = lambda what, done, total: None,
    crew: Alone | None = None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Train an agent offline and export it to ``policy.folder``; the same call goes on where it was killed.

    Args:
        learning: Config, recipe and settings.
        demos: Run folder with demonstrations.
        prior: Run folder with episodes of other tasks; None for none.
        encoder: Policy folder whose encoder makes the features; not read with ``agent.pixels``.
        on_step: Told of the progress.
        crew: The processes that train it together, each on its part of the episodes; None for this one alone.
        say: Told the sets of data and their weights, before training.

    Returns:
        What was done, as one JSON object can say it; of several processes only the first writes and says it.

    Raises:
        ValueError: when the data, the encoder or a checkpoint will not do.
    """
    from armtune_policies.learn.crew import ALONE
    from armtune_policies.learn.distributed import run
    from armtune_policies.learn.kept import keep_data
    from armtune_policies.learn.offline import OfflineParams, training_digest
    from armtune_policies.learn.pretrain import Pretraining
    from armtune_policies.learn.tally import table, tally

    config, offline = learning.config, OfflineParams.from_mapping(learning.offline)
    params, seed = _params(learning, crew), config.experiment.seed
    frozen, crew = encoder_for(config, params, encoder), crew or ALONE
    data = gathered(config, offline, demos, prior, frozen, on_step, crew)
    agent, replay, embeddings = made(data, params, seed, crew)
    folder, named, data = Path(config.policy.folder), training_digest(data, params, seed), data.without_images()
    kept, every = training_folder(folder) if crew.rank == 0 else None, offline.checkpoint_every
    training = Pretraining(agent, replay, offline.updates, seed, kept, named, checkpoint_every=every)
    resumed, steps, sets = agent.updates, sum(crew.pooled([len(replay)])), tally(data.trajectories, crew)
    if crew.rank:
        run(training, crew)
        return {}
    say(table(sets, replay.nbytes))
    with started_log(learning, training_folder(folder), f"pretrain-{config.task.name}", named, resumed, params) as log:
        run(training, crew, _reporter(log, on_step))
    keep_data(training_folder(folder), data, crew)
    manifest = exported(folder, agent, frozen, embeddings, config, data.digest, offline)
    result = {
        "recipe": params.recipe, "updates": agent.updates, "resumed_from": resumed, "processes": crew.size,
        "episodes": data.episodes, "successes": data.successes, "transitions": steps,
        "losses": {k: round(v, 4) for k, v in log.last("loss/").items()}, "skipped": agent.safeguard.skipped,
        "sets": {name: asdict(one) for name, one in sets.items()}, "replay_mb": round(replay.nbytes / 1e6, 2),
        "policy": manifest.version, "folder": str(folder),
    }  # fmt: skip
    keep(training_folder(folder), result, log, "updates")
    return result


def encoder_for(config: Config, params: AgentParams, folder: Path | None) -> FrozenEncoder:
    """Return the encoder out of a folder; for an agent that learns from pixels what stands in its place.

    Raises:
        ConfigError: when there is no folder and the agent needs one.
    """
    from armtune_policies.learn.frozen import FrozenEncoder
    from armtune_policies.learn.pixels import NONE
    from armtune_policies.learn.unencoded import Unencoded

    if params.pixels != NONE:
        return Unencoded(config.policy.observation)
    if folder is None:
        raise ConfigError("encoder: expected the folder of one, or agent.pixels=small or drq; got none")
    return FrozenEncoder(folder, config.policy.action, config.policy.observation)


def _reporter(log: Log, on_step: OnStep) -> Callable[[Report], None]:
    def report(at: Report) -> None:
        log.write(at.update, {f"loss/{name}": value for name, value in at.losses.items()})
        on_step("learning", at.update, at.updates)

    return report


def started_log(learning: Learning, folder: Path, name: str, key: str, start: int, params: AgentParams) -> Log:
    """Return where a training's scalars go, by ``logs.*``: a new run, or the one that goes on from ``start``."""
    from armtune_policies.learn.logs import Log, LogParams

    settings = {**asdict(params), "task": learning.config.task.name, "seed": learning.config.experiment.seed}
    return Log(folder, LogParams.from_mapping(learning.logs), name, key, start, settings)


def keep(folder: Path, result: Mapping[str, Any], log: Log, steps: str) -> None:
    """Write ``result.json`` and the log's curve over ``steps``, ``curve.png``, into a folder."""
    from .report.plots import curves

    write_whole(folder / "curve.png", curves(log.rows, steps))
    write_json(folder / "result.json", result)


def gathered(
    config: Config,
    params: OfflineParams,
    demos: Path,
    prior: Path | None,
    frozen: FrozenEncoder,
    on_step: OnStep,
    crew: Alone | None = None,
) -> Offline:
    """Return the episodes of demonstrations and prior as offline data of the config's task.

    Features are kept in the demonstrations' folder, where it may be written to, and made once.
    """
    from armtune_policies.learn.crew import ALONE
    from armtune_policies.learn.encoded import place
    from armtune_policies.learn.offline import gather

    forward, backward = (config.task.sentence(direction) for direction in DIRECTIONS)
    folders = [demos, *([prior] if prior is not None else [])]

    def told(done: int, total: int) -> None:
        on_step("reading episodes", done, total)

    seed, action = config.experiment.seed, config.policy.action
    return gather(folders, (forward, backward), action, frozen, params, seed, told, crew or ALONE, place(demos))


def made(data: Offline, params: AgentParams, seed: int, crew: Alone | None = None) -> tuple[Agent, Replay, Embeddings]:
    """Return a fresh agent, its offline replay and the sentences' embeddings, none where no state is projected."""
    from armtune_policies.learn.crew import ALONE
    from armtune_policies.learn.offline import make_agent
    from armtune_policies.learn.sentences import embed

    embeddings = embed(data.sentences) if params.projection else {}
    return (*make_agent(data, params, embeddings, seed, crew or ALONE), embeddings)


def exported(
    folder: Path,
    agent: Agent,
    frozen: FrozenEncoder,
    embeddings: Embeddings,
    config: Config,
    data: str,
    offline: OfflineParams,
) -> Manifest:
    """Write the agent's policy folder; its manifest says with which settings and on which ``data`` it was trained."""
    from armtune_policies.learn.actor_export import export_actor
    from armtune_policies.learn.export import About
    from armtune_policies.learn.pixel_export import export_pixels
    from armtune_policies.learn.settings import anywhere

    policy, name = config.policy, f"{config.task.name}-{agent.params.recipe}"
    provenance = {"config": config_hash(config), "seed": config.experiment.seed, "data": data, "updates": agent.updates}
    named = {**provenance, "agent": anywhere(agent.params), "offline": asdict(offline)}
    about = About(name, policy.action, policy.observation, embeddings, named)
    return export_actor(folder, agent, frozen, about) if frozen.feature_size else export_pixels(folder, agent, about)


def _params(learning: Learning, crew: Alone | None) -> AgentParams:
    """Return the agent's settings; a GPU that is not there is refused here, before anything is read."""
    from armtune_policies.learn.crew import device_of
    from armtune_policies.learn.settings import recipe_params

    params = recipe_params(learning.recipe, **learning.agent)
    if crew is None:
        device_of(params.device)
    return params
