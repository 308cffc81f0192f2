"""The student trained, by labels or by a teacher, and written, calibrated, with its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.store.labels import OPERATOR

from .frames import described, refuse_own_word, taught
from .settings import Judging, OnStep, rule_of
from .writing import write_judge

if TYPE_CHECKING:
    from armtune_policies.store.manifest import Manifest

WEIGHTS = "judge.safetensors"
"""A student's own, to go on from; the robot reads the graph only."""


def train(
    judging: Judging,
    frames: FrameSet,
    on_step: OnStep,
    *,
    embeddings: Mapping[str, npt.NDArray[np.float32]] | None = None,
    teacher: Path | None = None,
    label_set: str = OPERATOR,
) -> Manifest:
    """Train the student on frames and write it, calibrated, with its card, to ``reward.folder``.

    Args:
        judging: Config and settings; its experiment's seed is the training's.
        frames: What to learn from.
        on_step: Told of the progress.
        embeddings: Of the sentences; MiniLM's without.
        teacher: Folder of the judge whose probabilities are learnt in place of labels: distillation (Hinton et al.
            2015, arXiv:1503.02531, without a temperature).
        label_set: Who labelled the practice among the frames; of ``live`` the teacher's answers calibrate, too.

    Raises:
        ConfigError: for practice that only the judge itself labelled.
        ValueError: when successes or failures are missing.
        ModelError: when the teacher will not do, or does not know the sentences.
    """
    from armtune_policies.learn.export import weights
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.reward.ensemble import students
    from armtune_policies.learn.reward.fit import fit, split
    from armtune_policies.learn.reward.judge import Asked
    from armtune_policies.learn.sentences import embed

    config, seed = judging.config, judging.config.experiment.seed
    folder, known = Path(config.reward.folder), embeddings or embed(frames.questions)
    refuse_own_word(label_set, teacher)
    targets, of = None, ""
    learnt, held = split(frames, judging.fit_params.held_out, seed)
    if teacher is not None:
        judge = RewardModel.load(teacher, config.policy.action, config.policy.observation)
        (learnt, targets), (held, _) = taught(learnt, judge, label_set), taught(held, judge, label_set)
        of = judge.version
    seed_everything(seed)
    # of another name where there is a teacher, so that a training by labels does not stand in its way
    checkpoint = folder.with_name(f"{folder.name}{of and f'-of-{of}'}.training.safetensors")
    student = students(config.policy.observation, judging.fit_params.members)
    fitted = fit(
        Asked(student, known), learnt, held, judging.fit_params, judging.calibration, seed, targets, checkpoint,
        lambda p: on_step("student", p.step, p.updates), rule_of(config),
    )  # fmt: skip
    facts = {"data": described(frames), "teacher": of}
    return write_judge(judging, folder, fitted, known, facts, more={WEIGHTS: weights(student)})
