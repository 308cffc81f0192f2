"""The ablation table of the success classifier, cell by cell, each kept: what its parts are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ConfigError, digest
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet, read_joined
from armtune_policies.reward.gather import FAILURE
from armtune_policies.runtime.session import SENTENCE_SIZE
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import MANIFEST

from .collect import MEASURED_ON, clone_stages
from .evaluate import EVALUATION_SEED, fresh, measured
from .frames import labelled, score
from .settings import Judging, OnStep, rule_of
from .train import train
from .writing import settings_of

CELLS = {
    "full": "everything",
    "no-failures": "no failure episodes",
    "no-hard-negatives": "no practice: demonstrations and failures alone",
    "one-hot": "one number per sentence instead of language",
    "no-vote": "the full judge, stopped by its first yes",
}
Embeddings = dict[str, npt.NDArray[np.float32]]


def reward_study(
    judging: Judging, run: Path, episodes: int, cells: Sequence[str], on_step: OnStep, say: Callable[[str], None]
) -> dict[str, Any]:
    """Make every cell that is not there and print the table; return the cells.

    Raises:
        ConfigError: for an unknown cell.
    """
    if unknown := [name for name in cells if name not in CELLS]:
        raise ConfigError(f"--cells: expected some of {', '.join(CELLS)}; got {unknown[0]!r}")
    seed = EVALUATION_SEED if judging.seed is None else judging.seed
    policies = clone_stages(judging.config, run, MEASURED_ON, judging.config.experiment.seed + 1, on_step)
    files = fresh(judging, run, seed, episodes, policies, on_step)
    frames = read_joined(files)
    found: dict[str, Any] = {"study": "reward", "task": judging.config.task.name, "seed": seed, "cells": {}}
    for name in cells or CELLS:
        model = _model(judging, run, "full" if name == "no-vote" else name, on_step)
        rule = rule_of(judging.config)
        rule = replace(rule, need=1, window=1) if name == "no-vote" else rule
        threshold = judging.config.reward.threshold
        named = digest([[file.name for file in files], model.digest, threshold, asdict(rule)])
        kept = run / "evaluation" / f"study-{name}-{seed}-{episodes}-{named}.json"
        if not kept.is_file():
            write_json(kept, measured(frames, score(model, frames, threshold)[1], rule))
        found["cells"][name] = read_json(kept)
        say(f"{CELLS[name]}: {_words(found['cells'][name])}")
    say(table(found["cells"]))
    return found


def _model(judging: Judging, run: Path, name: str, on_step: OnStep) -> RewardModel:
    """Return a cell's judge, trained when it is missing. The full one is ``reward.folder``'s when that is there."""
    config, own = judging.config, Path(judging.config.reward.folder)
    folder = own if name == "full" else own.with_name(f"{own.name}-{name}")
    if not (folder / MANIFEST).is_file():
        frames = labelled(judging, run, with_practice=name != "no-hard-negatives")
        if name == "no-failures":
            frames = frames.rows(frames.kind != frames.kinds.index(FAILURE))
        told = replace(judging, config=replace(config, reward=replace(config.reward, folder=str(folder))))
        known = one_hot(frames) if name == "one-hot" else None
        train(told, frames, lambda what, n, of: on_step(f"{name} {what}", n, of), embeddings=known)
    model = RewardModel.load(folder, config.policy.action, config.policy.observation)
    for what, wanted in settings_of(judging).items():
        if (made := model.manifest.provenance.get(what)) != wanted:
            raise ConfigError(
                f"{folder}: expected a judge made with {what} {wanted}, got {made}; say the same settings, or another "
                "reward.folder"
            )
    return model


def one_hot(frames: FrameSet) -> Embeddings:
    """Return a vector per question that says which it is, and nothing of what it means."""
    rows = np.eye(len(frames.questions), SENTENCE_SIZE, dtype=np.float32)
    return dict(zip(frames.questions, rows))


def table(cells: dict[str, Any]) -> str:
    """Return the cells as Markdown; the worst direction, ends of 95 % intervals in brackets."""
    lines = ["| | frame FPR | frame recall | false stops | misses | abstained |", "|---|---|---|---|---|---|"]
    for name, row in cells.items():
        lines.append(
            f"| {CELLS[name]} | {said(row, 'frame_fpr')} (<= {said(row, 'frame_fpr_upper95')}) "
            f"| {said(row, 'frame_recall')} (>= {said(row, 'frame_recall_lower95')}) "
            f"| {said(row, 'episode_false_stop')} (<= {said(row, 'episode_false_stop_upper95')}) "
            f"| {said(row, 'episode_miss')} | {said(row, 'abstain')} |"
        )
    return "\n".join(lines)


def said(row: dict[str, Any], name: str) -> str:
    """Return a rate in percent, a dash where there was no case."""
    return "-" if row[name] is None else f"{row[name]:.2%}"


def _words(row: dict[str, Any]) -> str:
    rates = (said(row, name) for name in ("frame_fpr", "frame_recall", "episode_false_stop"))
    return "FPR {}, recall {}, false stops {}".format(*rates)
