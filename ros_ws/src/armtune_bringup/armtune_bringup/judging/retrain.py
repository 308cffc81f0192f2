"""What practice teaches the judge: hard frames, labelled by a person or by agreement with a teacher, and a new student.

A judge of demonstrations meets states in practice that nobody demonstrated; its accuracy hides that, for most frames
are plain failures. So precision and recall are told on held-out frames of practice, before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import ConfigError, Verdict
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.reward.metrics import by_question, worst
from armtune_policies.store.labels import LIVE

from .frames import described, is_practice, labelled, refuse_own_word, score, taught, unlabelled
from .settings import Judging, OnStep, rule_of
from .train import WEIGHTS
from .writing import write_judge

SURE = 0.9
"""Teacher and student must both be this sure, and agree, for a frame without a label to be learned."""


def retrain(
    judging: Judging,
    run: Path,
    practised: Sequence[Path],
    label_set: str,
    teacher: Path | None,
    updates: int,
    on_step: OnStep,
) -> dict[str, Any]:
    """Train ``reward.folder``'s student further on practice; write it to ``reward.folder``-new.

    Args:
        judging: Config and settings.
        run: Demonstrations and failures, and practice that was witnessed there: not forgotten.
        practised: Runs with labelled practice.
        label_set: Of that practice; ``live`` where nobody labelled it: then before and after are by the teacher's word.
        teacher: Labels practice that nobody labelled, where the old judge is as sure of the same answer; what a person
            or the truth says stays.
        updates: Gradient steps.
        on_step: Told of the progress.

    Returns:
        Precision and recall on practice frames of episodes that neither learned from, before and after; whether those
        are others than the new judge's threshold was chosen on (``measured_apart``; with few episodes they are not).

    Raises:
        ConfigError: when there is no practice, or nobody but the judge itself labelled it; for a teacher of what
            somebody labelled.
    """
    from armtune_policies.learn.reward.fit import split

    config = judging.config
    refuse_own_word(label_set, teacher)
    if teacher is not None and label_set != LIVE:
        raise ConfigError(f"a teacher labels what nobody did: expected --labels {LIVE} beside it, got {label_set!r}")
    judging = replace(judging, fit={"learning_rate": 5e-4, "mine_from": 0.0, **judging.fit, "updates": updates})
    old = RewardModel.load(Path(config.reward.folder), config.policy.action, config.policy.observation)
    frames = labelled(judging, run, practised, label_set)
    if not is_practice(frames).any():
        raise ConfigError("retrain: expected labelled practice, got none; label some: armtune reward label")
    train, held = split(frames, judging.fit_params.held_out, config.experiment.seed)
    if teacher is not None:
        judge = RewardModel.load(teacher, config.policy.action, config.policy.observation)
        train, (held, _) = agreed(train, old, judge, label_set), taught(held, judge, label_set)
    # The new judge's threshold is chosen on the one half, so that both are told of on frames that neither has seen.
    calibrating, measuring = split(held, 0.5, config.experiment.seed + 1)
    if not (is_apart := bool(is_practice(measuring).any())):
        calibrating = measuring = held
    asked_of = measuring.rows(is_practice(measuring))
    new = _further(judging, old, train, calibrating, on_step)
    return {
        "folder": f"{config.reward.folder}-new", "model": new.version, "practice_frames": len(asked_of),
        "measured_apart": is_apart,
        "before": numbers(asked_of, score(old, asked_of)[1], judging),
        "after": numbers(asked_of, score(new, asked_of)[1], judging),
    }  # fmt: skip


def _further(judging: Judging, old: RewardModel, train: FrameSet, held: FrameSet, on_step: OnStep) -> RewardModel:
    """Train the old judge's student further; return the new judge, as written."""
    from safetensors.torch import load_file

    from armtune_policies.learn.export import weights
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.reward.ensemble import members_of, restored
    from armtune_policies.learn.reward.fit import fit
    from armtune_policies.learn.reward.judge import Asked

    config, seed = judging.config, judging.config.experiment.seed
    begun = Path(config.reward.folder) / WEIGHTS
    if not begun.is_file():
        raise ConfigError(f"{begun}: no such file; a judge to retrain is one that armtune reward train made")
    seed_everything(seed)
    student = restored(config.policy.observation, load_file(begun))
    judging = replace(judging, fit={**judging.fit, "members": len(members_of(student))})
    fitted = fit(
        Asked(student, old.sentences), train, held, judging.fit_params, judging.calibration, seed,
        on_progress=lambda p: on_step("student", p.step, p.updates), rule=rule_of(config),
    )  # fmt: skip
    folder, facts = Path(f"{config.reward.folder}-new"), {"data": described(train), "from": old.version}
    write_judge(judging, folder, fitted, old.sentences, facts, old.manifest.name, {WEIGHTS: weights(student)})
    return RewardModel.load(folder, config.policy.action, config.policy.observation)


def numbers(frames: FrameSet, said: np.ndarray, judging: Judging) -> dict[str, Any]:
    """Return precision and recall on practice frames, the worst direction."""
    found = worst(by_question(frames, said, rule_of(judging.config)))
    return {name: found[name] for name in ("frame_precision", "frame_recall", "frame_fpr", "n_success_frames")}


def agreed(frames: FrameSet, student: RewardModel, teacher: RewardModel, label_set: str) -> FrameSet:
    """Return frames as labelled, and of those nobody labelled the ones that student and teacher are sure of alike.

    Their common answer is the label.
    """
    is_open = unlabelled(frames, label_set)
    part = frames.rows(is_open)
    (ours, said), (theirs, theirs_said) = score(student, part), score(teacher, part)
    alike = (said == theirs_said) & (said != Verdict.UNKNOWN)
    sure_of_yes, sure_of_no = (np.minimum(ours, theirs) >= SURE), (np.maximum(ours, theirs) <= 1.0 - SURE)
    alike &= np.where(said == Verdict.YES, sure_of_yes, sure_of_no)
    is_success, is_kept = frames.is_success.copy(), ~is_open
    is_success[is_open], is_kept[is_open] = said == Verdict.YES, alike
    return replace(frames, is_success=is_success).rows(is_kept)
