"""The teacher made and asked: a dual encoder over several tasks, unseen wordings, an unseen task, its student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from armtune_bringup.compose import compose
from armtune_policies.contract import DIRECTIONS, ConfigError, TaskPair
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet, joined
from armtune_policies.reward.gather import by_rule
from armtune_policies.reward.wording import HELD_BACK, TAUGHT
from armtune_policies.store.edits import kept_paths, read_kept

from .frames import described
from .settings import Judging, OnStep, rule_of
from .writing import write_judge

LOOKED_AT, CALIBRATED_ON = 600, 1500


def of_tasks(judging: Judging, runs: Sequence[Path]) -> tuple[FrameSet, dict[str, str]]:
    """Return the demonstrations and failures of several runs, labelled by the rule, and which sentence undoes which."""
    parts: list[FrameSet] = []
    un_task: dict[str, str] = {}
    pairs: dict[str, TaskPair] = {}
    cameras = judging.config.policy.observation.cameras
    episodes = [[read_kept(path) for path in kept_paths(run)] for run in runs]
    for found in episodes:
        for name in {episode.about.task for episode in found} - set(pairs):
            pairs[name] = pair = compose([f"task={name}"]).task
            un_task |= _undone(pair)
    for found in episodes:
        parts.append(by_rule(found, tuple(un_task), cameras, judging.label, un_task))
    return joined(parts), un_task


def _undone(pair: TaskPair) -> dict[str, str]:
    forward, backward = (pair.sentence(direction) for direction in DIRECTIONS)
    return {forward: backward, backward: forward}


def teach_judge(
    judging: Judging, runs: Sequence[Path], tower: Any, params: Any, on_step: OnStep, untaught: Sequence[Path] = ()
) -> dict[str, Any]:
    """Train the dual encoder on the runs' frames and write it, calibrated, with its card, to ``reward.folder``.

    Args:
        judging: Config and settings.
        runs: Folders with demonstrations and failures; of any tasks.
        tower: Locked image tower.
        params: ``TeachParams``.
        on_step: Told of the progress.
        untaught: Runs of other tasks, whose sentences it is asked without having been taught.

    Returns:
        Version, metrics, recall and false positives in wordings that it was never taught, and of tasks it was not.

    Raises:
        ConfigError: for an untaught task that is taught, or that nobody shows.
    """
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.reward.dual import DualEncoder, teach
    from armtune_policies.learn.reward.fit import calibrated, split
    from armtune_policies.learn.reward.judge import Asked

    config, seed = judging.config, judging.config.experiment.seed
    frames, un_task = of_tasks(judging, runs)
    others, strange = _untaught(judging, untaught, un_task) if untaught else (None, {})
    train, held = split(frames, judging.fit_params.held_out, seed)
    held = held.rows(np.sort(np.random.default_rng(seed).permutation(len(held))[:CALIBRATED_ON]))
    seed_everything(seed)
    asked = Asked(DualEncoder(tower, len(config.policy.observation.cameras)))
    loss = teach(
        asked, train, TAUGHT, un_task, params, seed,
        lambda p: on_step("projections", p.step, p.updates), lambda n, of: on_step("tower", n, of),
    )  # fmt: skip
    fitted = calibrated(
        asked, train, held, judging.fit_params, judging.calibration, {"loss": loss}, rule_of(config), LOOKED_AT
    )
    known = [*un_task, *(w for q in un_task for w in (*TAUGHT.get(q, ()), *HELD_BACK.get(q, ())))]
    asked.sentences([*known, *strange])
    embeddings = {sentence: asked.known[sentence] for sentence in known}
    facts = {"data": described(frames), "runs": [run.name for run in runs], "teach": asdict(params)}
    manifest = write_judge(judging, Path(config.reward.folder), fitted, embeddings, facts, "teacher")
    model = RewardModel.load(Path(config.reward.folder), config.policy.action, config.policy.observation)
    found = {"model": manifest.version, **manifest.metrics, "wordings": in_other_words(model, held)}
    if others is None:
        return found
    model.sentences |= {sentence: asked.known[sentence] for sentence in strange}  # here only: it was not taught them
    return {**found, "untaught": of_other_tasks(model, others)}


def _untaught(judging: Judging, runs: Sequence[Path], taught: Mapping[str, str]) -> tuple[FrameSet, dict[str, str]]:
    frames, un_task = of_tasks(judging, runs)
    if both := sorted(set(un_task) & set(taught)):
        raise ConfigError(f"--untaught: expected runs of other tasks than those it is taught, got {both[0]!r} in both")
    shown = {frames.questions[question] for question in frames.question[frames.is_success]}
    if never := sorted(set(un_task) - shown):
        raise ConfigError(f"--untaught: expected demonstrations of {never[0]!r}, got none in which it is done")
    return frames, un_task


def in_other_words(model: RewardModel, frames: FrameSet, most: int = 400) -> dict[str, dict[str, float]]:
    """Return recall and false positives on some frames asked as taught, and asked in wordings held back."""
    rows = np.random.default_rng(0).permutation(len(frames))[:most]
    true, found = frames.is_success[rows], {}
    for name, wordings in (("as the task says it", {}), ("taught", TAUGHT), ("held back", HELD_BACK)):
        asked = [frames.questions[q] for q in frames.question[rows]]
        said = [wordings[q][i % len(wordings[q])] if q in wordings else q for i, q in enumerate(asked)]
        yes = _probability(model, frames, rows, said) > model.threshold
        found[name] = {"recall": float(yes[true].mean()), "fpr": float(yes[~true].mean()), "n": len(rows)}
    return found


def of_other_tasks(model: RewardModel, frames: FrameSet, most: int = 400) -> dict[str, dict[str, float]]:
    """Return recall, false positives and area under the ROC curve of sentences that were not taught, by sentence.

    The area is the share of pairs of a success and another frame in which the success is more probable, half of it for
    ties (Mann and Whitney 1947): 0.5 knows nothing, whatever the threshold.
    """
    found = {}
    for question, sentence in enumerate(frames.questions):
        asked = np.flatnonzero(frames.question == question)
        rows = np.random.default_rng(0).permutation(asked)[:most]
        true, probable = frames.is_success[rows], _probability(model, frames, rows, [sentence] * len(rows))
        yes = probable > model.threshold
        area = stats.mannwhitneyu(probable[true], probable[~true]).statistic / (true.sum() * (~true).sum())
        rates = {"recall": yes[true].mean(), "fpr": yes[~true].mean(), "area": area}
        found[sentence] = {**{name: float(rate) for name, rate in rates.items()}, "n": len(rows)}
    return found


def _probability(
    model: RewardModel, frames: FrameSet, rows: npt.NDArray[np.int64], said: Sequence[str]
) -> npt.NDArray[np.floating]:
    parts = []
    for start in range(0, len(rows), 64):
        some = slice(start, start + 64)
        parts.append(model.score_many(frames.pictures(rows[some]), said[some]).probability)
    return np.concatenate(parts)
