"""The judge measured on fresh episodes, and its vote chosen on others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ConfigError
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet, read_joined
from armtune_policies.reward.metrics import VoteRule, by_question, worst
from armtune_policies.reward.tune import Tried, tune, write_vote
from armtune_policies.store.files import write_json

from .collect import LEARNT_FROM, MEASURED_ON, clone_stages
from .frames import score
from .settings import Judging, OnStep, rule_of
from .witness import EXPERT, FAILURE, MEASURED, PRACTICE, SCENES, Wanted, witnessed

EVALUATION_SEED = 100


def evaluate(judging: Judging, run: Path, episodes: int, on_step: OnStep) -> dict[str, Any]:
    """Measure ``reward.folder``'s model on fresh episodes of a seed: a third each expert, failure and practice.

    Practice is of policies that the judge has not learned from, cloned from the run's demonstrations.

    Args:
        judging: Config; its ``seed`` is that of the episodes.
        run: Has the demonstrations, and keeps policies and frames.
        episodes: Per direction and kind.
        on_step: Told of the progress.

    Returns:
        What the JSON line says: the worst direction's numbers; per direction and kind beside them.
    """
    config = judging.config
    seed = EVALUATION_SEED if judging.seed is None else judging.seed
    model = RewardModel.load(Path(config.reward.folder), config.policy.action, config.policy.observation)
    policies = clone_stages(config, run, MEASURED_ON, config.experiment.seed + 1, on_step)
    frames = read_joined(fresh(judging, run, seed, episodes, policies, on_step))
    _, said = score(model, frames, config.reward.threshold)
    return {
        "evaluation": "reward",
        "task": config.task.name,
        "seed": seed,
        "model": model.version,
        **measured(frames, said, rule_of(config)),
    }


def fresh(
    judging: Judging, run: Path, seed: int, episodes: int, policies: Mapping[str, Path], on_step: OnStep
) -> list[Path]:
    """Return the files with the frames of fresh episodes of a seed, made once.

    Raises:
        ConfigError: when the run's demonstrations and practice are of this seed's scenes.
    """
    own, done, total = judging.config.experiment.seed, [0], 6 * episodes
    if own in (seed, *range(SCENES * seed, SCENES * (seed + 1))):
        raise ConfigError(
            f"seed: expected another than that of what was learnt from ({own}), whose scenes it would meet; got {seed}"
        )

    def told() -> None:
        done[0] += 1
        on_step("episodes", done[0], total)

    wanted = Wanted(seed, episodes, (EXPERT, FAILURE, PRACTICE))
    return witnessed(judging.config, wanted, policies, run / MEASURED, told)


def measured(frames: FrameSet, said: npt.NDArray[np.uint8], rule: VoteRule) -> dict[str, Any]:
    """Return the worst direction's numbers, each direction's, and the false positives of each kind."""
    reports = by_question(frames, said, rule)
    kinds = {}
    for kind in frames.kinds:
        rows = np.flatnonzero(frames.kind == frames.kinds.index(kind))
        kinds[kind] = worst(by_question(frames.rows(rows), said[rows], rule))
    return {
        **worst(reports),
        "vote": asdict(rule),
        "directions": {question: asdict(one) for question, one in reports.items()},
        "kinds": kinds,
    }


def tune_vote(judging: Judging, run: Path, out: Path, episodes: int, on_step: OnStep) -> list[Tried]:
    """Choose the vote on episodes of a seed of its own and write it as a config file; return every vote tried."""
    config = judging.config
    seed = EVALUATION_SEED - 1 if judging.seed is None else judging.seed
    model = RewardModel.load(Path(config.reward.folder), config.policy.action, config.policy.observation)
    policies = clone_stages(config, run, LEARNT_FROM, config.experiment.seed, on_step)
    frames = read_joined(fresh(judging, run, seed, episodes, policies, on_step))
    tried = tune(frames, score(model, frames, config.reward.threshold)[1])
    write_vote(out, tried[0].rule)
    return tried


def save_result(path: Path, found: Mapping[str, Any]) -> str:
    """Write a result beside its run; return it as one line."""
    write_json(path, dict(found))
    return json.dumps(found)
