"""What a judge learns from, made in the simulator: demonstrations, failures, policies and their practice."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from armtune_bringup.settings import Config
from armtune_bringup.stages import collect_demos, planned
from armtune_policies.contract import DIRECTIONS, digest
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.store.files import trash
from armtune_policies.store.manifest import MANIFEST

from .settings import Judging, OnStep
from .witness import PRACTICE, TAUGHT, Wanted, witnessed

LEARNT_FROM, MEASURED_ON = "taught", "held-out"
"""Policies whose practice the judge may learn from, and those it is measured on: cloned from other seeds."""
STAGES = {
    LEARNT_FROM: {"few": 150, "some": 700, "many": 1200},
    MEASURED_ON: {"few": 100, "some": 400, "many": 1200},
}
"""Updates of these policies: hardly able, halfway, as able as cloning gets."""
AIM_M = 0.01
"""Every second try that is learnt from is aimed so far off, as tries after failures are: what succeeds, or nearly does,
by chance is what a judge knows least of."""
STAGE_EPISODES = 160
"""Demonstrations that the practising policies imitate, at most."""


def collect(judging: Judging, run: Path, practice: int, on_step: OnStep) -> None:
    """Make what is missing in a run: demonstrations and failures, policies of three stages, practice that is labelled.

    Practice is labelled by the simulator's truth, in place of an operator; of another number of episodes than
    ``practice`` it goes to the trash.
    """
    config, done = judging.config, [len(list_episodes(run))]
    total = len(planned(config.experiment))

    def told(_: Any) -> None:
        done[0] += 1
        on_step("demonstrations", done[0], total)

    collect_demos(config, run, run.name, told)
    made, kept = [0], list[Path]()

    def practised() -> None:
        made[0] += 1
        on_step("practice", made[0], 2 * practice)

    if practice:
        policies = clone_stages(config, run, LEARNT_FROM, config.experiment.seed, on_step)
        wanted = Wanted(config.experiment.seed, practice, (PRACTICE,), AIM_M)
        kept = witnessed(config, wanted, policies, run / TAUGHT, practised)
    for stale in set((run / TAUGHT).glob(f"{config.task.name}-*.safetensors")) - set(kept):
        trash(stale)  # of another number of episodes or other policies: partly the same scenes


def clone_stages(config: Config, run: Path, what: str, seed: int, on_step: OnStep) -> dict[str, Path]:
    """Return the policies of three stages that imitate a run's demonstrations, made when they are missing."""
    policy = config.policy
    named = digest([seed, STAGES[what], policy.action.digest, policy.observation.digest, policy.rate_hz])[:8]
    folders = {name: run / "stages" / f"{what}-{name}-{named}" for name in STAGES[what]}
    missing = [name for name, folder in folders.items() if not (folder / MANIFEST).is_file()]
    if not missing:
        return folders
    from armtune_policies.learn.bc import PretrainParams, pretrain
    from armtune_policies.learn.data import transitions
    from armtune_policies.learn.export import About, export_policy
    from armtune_policies.learn.sentences import embed

    sentences = tuple(config.task.sentence(direction) for direction in DIRECTIONS)
    embeddings = embed(sentences)
    episodes = [read_kept(path) for path in islice(kept_paths(run), STAGE_EPISODES)]
    data = transitions(episodes, policy.action, policy.observation, sentences)
    for name in missing:
        params = PretrainParams(updates=STAGES[what][name])
        cloned = pretrain(
            data, embeddings, policy.action, policy.observation, params, seed,
            folders[name].with_suffix(".training.safetensors"),
            lambda p, name=name: on_step(f"policy {what}-{name}", p.step, p.updates),  # type: ignore[misc]
        )  # fmt: skip
        about = About(f"{config.task.name}-{name}", policy.action, policy.observation, embeddings)
        export_policy(folders[name], cloned.encoder, cloned.head, about)
    return folders
