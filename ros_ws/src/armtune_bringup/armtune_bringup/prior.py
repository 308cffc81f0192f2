"""Episodes of other tasks than the one practised: stand-ins for a large public dataset such as Bridge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.store.episode_reader import list_episodes, next_index, read_episode
from armtune_policies.store.nouns import SUCCESS
from armtune_sim.opengl import backend
from armtune_sim.settings import SimParams
from armtune_sim.take import Take
from armtune_sim.tasks import TASKS

from .compose import compose, config_hash
from .settings import Config
from .stages import make_env

TABLES = {
    "tidy": SimParams(variation=0.5, looks=0.2, distractors=0),
    "messy": SimParams(variation=1.0, looks=1.0, distractors=4),
}
"""Two kinds of table: where things stand, how they look, what else lies about."""


@dataclass(frozen=True)
class Variant:
    """One task in one direction on one kind of table."""

    task: str
    direction: Direction
    table: str

    @property
    def run_id(self) -> str:
        """What its episodes are called."""
        return f"prior-{self.task}-{self.direction}-{self.table}"


@dataclass
class Made:
    """What is there of a variant by now."""

    episodes: int = 0
    steps: int = 0
    successes: int = 0


def variants(practised: str) -> list[Variant]:
    """Return every variant but those of the task practised."""
    return [Variant(t, d, table) for t in TASKS if t != practised for d in DIRECTIONS for table in TABLES]


def make_prior(
    config: Config, folder: Path, steps: int, on_episode: Callable[[Variant, Made], None] = lambda variant, made: None
) -> dict[Variant, Made]:
    """Write at least ``steps`` control steps of each variant into ``folder/episodes``; a second call continues.

    Raises:
        OSError: when the disk refuses, or this machine cannot draw.
    """
    backend()
    return {
        variant: _make(config, variant, folder, steps, on_episode) for variant in variants(config.task.name)
    }  # fmt: skip


def _make(
    config: Config, variant: Variant, folder: Path, steps: int, on_episode: Callable[[Variant, Made], None]
) -> Made:
    from armtune_sim.collect import collect

    made = _there(folder, variant)
    on_episode(variant, made)
    if made.steps >= steps:
        return made
    config = replace(config, task=compose([f"task={variant.task}"]).task, sim=TABLES[variant.table])
    env = make_env(config)
    try:
        episodes = collect(
            env, config.task, (steps - made.steps) * [Take(variant.direction)], seed=config.experiment.seed,
            noise=config.experiment.demo_noise, folder=folder / "episodes", run_id=variant.run_id,
            first_index=next_index(folder, variant.run_id), config_hash=config_hash(config),
        )  # fmt: skip
        for episode in episodes:
            made.episodes, made.steps = made.episodes + 1, made.steps + episode.steps
            made.successes += episode.is_success
            on_episode(variant, made)
            if made.steps >= steps:
                break
    finally:
        env.close()
    return made


def _there(folder: Path, variant: Variant) -> Made:
    made = Made()
    for path in list_episodes(folder):
        if path.name.startswith(f"{variant.run_id}-"):
            episode = read_episode(path)
            made.episodes, made.steps = made.episodes + 1, made.steps + episode.steps
            made.successes += episode.outcome == SUCCESS
    return made
